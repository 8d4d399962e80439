"""The digit among the ink of a page, and its drawing."""

import numpy as np
import pytest
from conftest import read_page
from PIL import Image, ImageDraw
from scipy import ndimage

from handwriting.digits import WIDTHS, centre, find_digits, find_frames, resize, widths

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


def test_what_runs_off_the_page_is_dropped_beside_other_ink():
    ink = np.zeros((100, 100), np.float32)
    ink[:60, :20] = ink[50:80, 50:60] = 1
    assert [(words, digit.sum()) for words, digit in find_digits(ink)] == [((), 300)]


def test_what_runs_off_the_page_may_be_the_digit_beside_little_ink():
    ink = np.zeros((100, 100), np.float32)
    ink[:60, 20:40] = ink[50:60, 50:55] = 1
    found = [(words, digit.sum()) for words, digit in find_digits(ink)]
    assert found == [((), 1200), (("inside",), 50)]


def test_a_speck_is_no_digit():
    ink = np.zeros((100, 100), np.float32)
    ink[50:54, 50:54] = 1
    assert list(find_digits(ink)) == []


def frames_of(ink):
    parts, _ = ndimage.label(ink > 0.25)
    return find_frames(parts, ndimage.find_objects(parts), ink)


def test_a_frame_is_whole_and_around_other_ink(mnist_data):
    ink = on_page(mnist_data.test.images[0])
    whole, empty, opened = ink.copy(), np.zeros_like(ink), ink.copy()
    for page in (whole, empty, opened):
        page[60:240, [110, 290]] = page[[60, 239], 110:290] = 1
    opened[60, 150:250] = 0
    assert len(frames_of(whole)) == 1
    assert frames_of(empty) == frames_of(opened) == []


def test_a_frame_may_be_turned(mnist_data):
    image = Image.fromarray(np.uint8(255 * on_page(mnist_data.test.images[0])))
    ImageDraw.Draw(image).rectangle((110, 60, 290, 240), outline=255, width=4)
    assert len(frames_of(np.float32(image.rotate(12)) / 255)) == 1


def test_a_zero_around_other_ink_is_no_frame():
    image = Image.new("L", (100, 100))
    ImageDraw.Draw(image).ellipse((10, 10, 80, 90), outline=255, width=4)
    ImageDraw.Draw(image).rectangle((40, 40, 50, 60), fill=255)
    assert frames_of(np.float32(image) / 255) == []


@pytest.mark.parametrize("width", [2, 10])
def test_a_digit_in_a_box(mnist_data, width):
    images, labels = (array[:20] for array in mnist_data.test)
    pages = [Image.fromarray(np.uint8(255 - 255 * on_page(image))) for image in images]
    for page in pages:
        ImageDraw.Draw(page).rectangle((110, 60, 290, 240), outline=0, width=width)
    assert np.mean([read_page(np.asarray(page))[1] for page in pages] == labels) >= 0.95


def widest(digit):
    return next(widths(digit))[1]


def test_wide_strokes_are_not_widened():
    digit = np.zeros((80, 80), np.float32)
    digit[:, 30:50] = 1
    [(words, same)] = widths(digit)
    assert words == () and same.sum() == digit.sum()


def test_thin_strokes_have_three_widths():
    digit = np.zeros((80, 80), np.float32)
    digit[:, 40:42] = 1
    assert [words for words, _ in widths(digit)] == [("width 11",), ("width 7",), ()]


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


@pytest.mark.parametrize("gap, left", [(7, 6), (9, 6), (12, 7), (20, 12)])
def test_gaps_between_strokes_stay_open(gap, left):
    digit = np.zeros((82, 82), np.float32)
    digit[1:81, 30:32] = digit[1:81, 32 + gap : 34 + gap] = 1
    middle = widest(digit)[50]
    ink = np.flatnonzero(middle)
    assert (1 - middle)[ink[0] : ink[-1] + 1].sum() == pytest.approx(left, abs=1)


def test_aspect_ratio_is_kept():
    assert resize(np.ones((100, 40), np.float32), 20).shape == (20, 8)


def test_digit_far_off_balance_stays_inside():
    digit = np.full((20, 20), 0.002, np.float32)
    digit[0, 0] = 1
    assert np.count_nonzero(centre(digit)) == 400
