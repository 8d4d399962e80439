"""Ink and paper."""

import numpy as np
import pytest
from conftest import read_page
from PIL import Image
from scipy import ndimage

from handwriting.paper import (
    NARROW,
    WIDE,
    dark_on_light,
    fill_up,
    find_ink,
    find_inks,
    paper_level,
    without_margins,
)


@pytest.fixture
def page(mnist_data):
    """Grey paper with grain, a digit in the middle; uint8 [300, 400]."""
    return photograph(mnist_data.test.images[0])


def photograph(digit, paper=180, pen=40):
    ink = np.zeros((300, 400))
    ink[80:220, 130:270] = ndimage.zoom(digit / 255.0, 5, order=1)
    grain = np.random.default_rng(0).normal(0, 3, ink.shape)
    return np.uint8(np.clip(paper + (pen - paper) * ink + grain, 0, 255))


@pytest.mark.parametrize("sides", [((20, 20), (20, 20)), ((0, 0), (60, 60)), ((0, 30), (0, 0))])
@pytest.mark.parametrize("shade", [0, 100, 255])
def test_margins_are_cut_off(page, shade, sides):
    found = without_margins(np.pad(page, sides, constant_values=shade))
    assert all(0 <= whole - part <= 8 for whole, part in zip(page.shape, found.shape))


def test_margins_in_margins_are_cut_off(page):
    inner = Image.new("RGB", (440, 340), (250, 200, 30))
    inner.paste(Image.fromarray(page), (20, 20))
    outer = Image.new("RGB", (540, 440))
    outer.paste(inner, (50, 50))
    found = without_margins(np.asarray(outer))
    assert all(0 <= whole - part <= 16 for whole, part in zip(page.shape, found.shape))


def test_paper_around_a_digit_is_no_margin():
    drawing = np.full((100, 100), 255, np.uint8)
    drawing[20:30, 15:85] = drawing[20:80, 60:70] = 0
    assert without_margins(drawing).shape == drawing.shape


def test_paper_beside_a_bold_digit_is_no_margin():
    """As beside a digit of a few large pixels, whose other side is paper, too."""
    drawing = np.full((200, 200), 255, np.uint8)
    drawing[:, 25:100] = 0
    drawing[75:125, 100:150] = 0
    assert without_margins(drawing).shape == drawing.shape


def test_margins_with_nothing_in_them_stay():
    page = np.zeros((100, 100), np.uint8)
    page[40:50, 40:50] = 255
    assert without_margins(page).shape == page.shape


@pytest.mark.parametrize("shade", [0, 255, 110])
def test_a_digit_in_margins_is_read(mnist_data, shade):
    images, labels = (array[:10] for array in mnist_data.test)
    pages = [np.pad(photograph(image), 15, constant_values=shade) for image in images]
    assert [read_page(page)[1] for page in pages] == list(labels)


def test_light_ink_becomes_dark(page):
    grey = dark_on_light(page)
    assert grey[10, 10] > grey.min() + 100
    np.testing.assert_allclose(dark_on_light(255 - page), grey, atol=1)


def test_ink_is_dark_across_the_edge_of_a_shadow(page):
    light = np.linspace(1, 0.7, 400)
    light[200:] /= 3
    grey = dark_on_light(np.uint8(page * light))
    assert grey[10, 10] > 150 and grey[10, 390] > 30


def test_colours_as_bright_as_each_other_differ(page):
    ink = (page < 100)[..., None]
    grey = dark_on_light(np.where(ink, np.uint8([235, 90, 90]), np.uint8([90, 160, 90])))
    assert np.ptp(grey) > 60


def ways(page):
    return {words for words, _ in find_inks(page)}


def test_a_drawing_has_flat_paper_and_a_photograph_with_grain_has_not(page):
    light = np.linspace(0, 40, 400)
    assert ("wide", "on flat paper") in ways(np.where(page < 100, np.uint8(0), np.uint8(255)))
    assert ("wide",) in ways(np.uint8(page - light))


def test_narrow_ink_is_filled_up_and_a_shadow_is_paper():
    page = np.full((300, 400), 245, np.float32)
    page[150:, 230:] = 60
    page[50:150, 60:80] = 30
    paper = fill_up(page, NARROW)
    assert paper[295, 395] == pytest.approx(60, abs=5)
    assert paper[100, 70] == pytest.approx(245, abs=5)


def test_a_stroke_along_an_edge_is_filled_up():
    page = np.full((300, 400), 245, np.float32)
    page[290:, 100:300] = 30
    assert fill_up(page, WIDE)[295, 200] > 240


def test_a_dark_strip_along_a_whole_edge_is_paper():
    page = np.full((300, 400), 245, np.float32)
    page[290:] = 30
    assert fill_up(page, WIDE)[295, 200] < 50


def test_dark_corners_are_paper():
    y, x = np.indices((300, 400)) / np.array([150, 200]).reshape(2, 1, 1) - 1
    page = np.float32(240 * (1 - 0.3 * (x**2 + y**2)))
    assert np.abs(fill_up(page, WIDE) - page).max() < 12


def test_a_wide_stroke_is_ink_to_the_wider_way_only():
    page = np.full((300, 400), 245, np.float32)
    page[50:250, 100:160] = 30
    assert fill_up(page, NARROW)[150, 130] < 50 and fill_up(page, WIDE)[150, 130] > 240


def test_ink_in_a_shadow_is_as_black_as_beside_it():
    page = np.full((300, 400), 200, np.float32)
    page[100:200, 50:60] = page[100:200, 350:360] = 50
    page[:, 200:] *= 0.4
    ink = find_ink(page, fill_up(page, NARROW))
    assert ink[150, 55] > 0.9 and ink[150, 355] > 0.9 and ink[150, 200] < 0.5


@pytest.mark.parametrize("pen", [245, 232])
def test_faint_ink_is_ink_from_twelve_grey_levels_on(pen):
    page = np.full((100, 100), 250, np.float32)
    page[20:80, 40:50] = pen
    assert find_ink(page, page.max()).any() == (pen == 232)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_grain_of_mottled_paper_is_no_ink(mnist_data, width):
    ink = np.zeros((150, 150), np.float32)
    ink[19:131, 19:131] = np.asarray(Image.fromarray(mnist_data.test.images[0]).resize((112, 112)))
    ink /= 255
    grain = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=ink.shape), width)
    page = np.float32((190 + 12 * grain / grain.std()) * (1 - ink) + 50 * ink)
    found = find_ink(page, fill_up(page, WIDE))
    assert (found[ink == 0] > 0.25).mean() < 0.02
    assert found[ink > 0.95].mean() > 0.9


@pytest.mark.parametrize("amount", [0.1, 0.5])
def test_paper_level_whatever_the_amount_of_ink(amount):
    depth = np.random.default_rng(0).normal(10, 4, (200, 200))
    depth[: int(200 * amount)] += np.linspace(30, 200, 200)
    level, noise = paper_level(depth)
    assert level == pytest.approx(10, abs=2) and 3 < noise < 10


def test_the_darkest_of_two_pens_is_a_way():
    page = np.full((200, 200, 3), (130, 255, 250), np.uint8)
    page[20:180, 60:66] = page[100:106, 20:180] = (195, 245, 20)
    page[40:160, 95:107] = (12, 15, 120)
    ink = dict(find_inks(page))[("darkest", "on flat paper")]
    assert ink[60, 100] > 0.9 and ink[30, 63] == 0


def test_both_sides_may_be_ink(page):
    assert {("one grey",), ("other side", "one grey")} <= ways(page)


def test_lines_of_ruled_paper_are_no_ink():
    page = np.full((200, 200), 240, np.uint8)
    page[10::30] = 100
    page[60:140, 95:105] = 20
    ink = dict(find_inks(page))[("one grey",)]
    assert ink[40, 20] == 0 and ink[80, 100] == 1
