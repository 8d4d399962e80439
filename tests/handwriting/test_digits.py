"""The digit among the ink of a page, and its drawing."""

import numpy as np
import pytest
from conftest import read_page
from PIL import Image, ImageDraw
from scipy import ndimage

from handwriting.digits import WIDTHS, centre, find_digits, resize, widths

WIDEST = max(WIDTHS)


def on_page(digit):
    """A digit on a page, float32 [300, 400], 0 to 1."""
    page = np.zeros((300, 400), np.float32)
    page[80:220, 130:270] = ndimage.zoom(digit / 255.0, 5, order=1)
    return page


def first_digit(ink):
    """The name of the preferred digit and its ink, cropped."""
    return next(find_digits(ink))


def test_digit_in_two_parts_stays_whole():
    ink = np.zeros((100, 100), np.float32)
    ink[20:80, 40:45] = ink[20:25, 52:64] = 1
    words, digit = first_digit(ink)
    assert words == () and digit.sum() == ink.sum()


def test_what_runs_off_the_page_is_the_digit_or_not():
    ink = np.zeros((100, 100), np.float32)
    ink[:60, :20] = ink[50:80, 50:60] = 1
    found = [(words, digit.sum()) for words, digit in find_digits(ink)]
    assert found == [((), 1500), (("inside",), 300)]


def test_a_speck_is_no_digit():
    ink = np.zeros((100, 100), np.float32)
    ink[50:54, 50:54] = 1
    assert list(find_digits(ink)) == []


def test_what_is_inside_of_the_largest_part_may_be_the_digit():
    ink = np.zeros((100, 100), np.float32)
    ink[20:80, [20, 79]] = ink[[20, 79], 20:80] = ink[40:60, 50:60] = ink[85:90, 90:95] = 1
    found = {words: digit.sum() for words, digit in find_digits(ink)}
    assert found == {("around",): ink.sum(), ("boxed",): 200}


@pytest.mark.parametrize("sides, words", [(3, ("around",)), (1, ())])
def test_ink_along_most_edges_of_the_page_may_be_paper(sides, words):
    ink = np.zeros((100, 100), np.float32)
    for _ in range(sides):
        ink = np.rot90(ink).copy()
        ink[:10] = 1
    assert first_digit(ink)[0] == words


def test_a_part_of_the_ink_comes_once():
    ink = np.zeros((100, 100), np.float32)
    ink[20:80, 40:45] = 1
    assert [words for words, _ in find_digits(ink)] == [()]


@pytest.mark.parametrize("width", [2, 10])
def test_a_digit_in_a_box(mnist_data, width):
    images, labels = (array[:20] for array in mnist_data.test)
    pages = [Image.fromarray(np.uint8(255 - 255 * on_page(image))) for image in images]
    for page in pages:
        ImageDraw.Draw(page).rectangle((110, 60, 290, 240), outline=0, width=width)
    assert np.mean([read_page(np.asarray(page))[1] for page in pages] == labels) >= 0.95


def widest(digit):
    return dict(widths(digit))["widened", f"to {WIDEST}"]


def test_wide_strokes_are_not_widened():
    digit = np.zeros((80, 80), np.float32)
    digit[:, 30:50] = 1
    [(words, same)] = widths(digit)
    assert words == () and same.sum() == digit.sum()


def test_thin_strokes_have_three_widths():
    digit = np.zeros((80, 80), np.float32)
    digit[:, 40:42] = 1
    assert [words for words, _ in widths(digit)] == [(), ("widened", "to 11"), ("widened", "to 7")]


def test_a_hairline_is_widened_only():
    digit = np.zeros((162, 162), np.float32)
    digit[1:161, 80:82] = 1
    assert [words for words, _ in widths(digit)] == [("widened", "to 11"), ("widened", "to 7")]


@pytest.mark.parametrize("ink", [1, 0.4])
@pytest.mark.parametrize("width", [2, 4])
def test_thin_strokes_are_widened_to_the_usual(width, ink):
    digit = np.zeros((80, 80), np.float32)
    digit[10:70, 40 : 40 + width] = ink
    assert widest(digit)[50].sum() == pytest.approx(WIDEST, abs=1.5)


def test_widening_keeps_lines_that_a_smaller_image_would_lose():
    digit = np.zeros((500, 500), np.float32)
    digit[:, 100:104] = digit[100, 100:400] = 1
    assert widest(digit)[16 + WIDEST, 24 + WIDEST] == 1


def test_a_gap_between_strokes_stays_open_with_the_narrower_strokes():
    digit = np.zeros((82, 82), np.float32)
    digit[1:81, 30:32] = digit[1:81, 39:41] = 1
    wide, narrow = (strokes[50] for _, strokes in [*widths(digit)][1:])
    closed = [
        (1 - middle)[np.flatnonzero(middle).min() : np.flatnonzero(middle).max()].sum()
        for middle in (wide, narrow)
    ]
    assert closed[0] < 2 < closed[1]


def test_aspect_ratio_is_kept():
    assert resize(np.ones((100, 40), np.float32), 20).shape == (20, 8)


def test_digit_far_off_balance_stays_inside():
    digit = np.full((20, 20), 0.002, np.float32)
    digit[0, 0] = 1
    assert np.count_nonzero(centre(digit)) == 400
