import numpy as np
import pytest
from conftest import classify
from PIL import Image, ImageDraw
from scipy import ndimage

from handwriting.frames import find_boxes, find_sheet
from handwriting.images import prepare_image


@pytest.fixture
def ink(mnist_data):
    """The first digit on a page, float32 [300, 400], 0 to 1."""
    return on_page(mnist_data.test.images[0])


def on_page(digit):
    page = np.zeros((300, 400), np.float32)
    page[80:220, 130:270] = ndimage.zoom(digit / 255.0, 5, order=1)
    return page


def on_table(ink, paper, pen, table, margin, degrees):
    """A photograph of the middle of a page, `margin` around the digit, on a table."""
    sheet = Image.fromarray(np.uint8(np.clip(paper + (pen - paper) * ink, 0, 255)))
    sheet = sheet.crop((130 - margin, 80 - margin, 270 + margin, 220 + margin)).convert("LA")
    sheet = sheet.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    photo = Image.new("L", (600, 450), table)
    photo.paste(sheet, (130, 60), sheet.getchannel("A"))
    noise = np.random.default_rng(0).normal(0, 4, (450, 600))
    return np.uint8(np.clip(np.asarray(photo) + noise, 0, 255))


@pytest.mark.parametrize("degrees", [0, 8])
@pytest.mark.parametrize("margin", [10, 70])
@pytest.mark.parametrize("paper, pen, table", [(245, 40, 90), (245, 40, 50), (40, 240, 245)])
def test_a_digit_on_a_sheet_on_a_table(mnist_data, paper, pen, table, margin, degrees):
    images, labels = (array[:20] for array in mnist_data.test)
    photos = [on_table(on_page(image), paper, pen, table, margin, degrees) for image in images]
    assert np.mean(classify([prepare_image(photo) for photo in photos]) == labels) >= 0.95


def test_a_digit_on_a_page_with_lighter_margins(mnist_data):
    images, labels = (array[:20] for array in mnist_data.test)
    pages = [np.uint8(210 * (1 - on_page(image))) for image in images]
    pages = [np.pad(page, 20, constant_values=255) for page in pages]
    assert np.mean(classify([prepare_image(page) for page in pages]) == labels) >= 0.95


def test_a_border_with_nothing_in_it_is_no_digit():
    page = np.pad(np.full((300, 400), 240, np.uint8), 20, constant_values=30)
    with pytest.raises(ValueError, match="no ink found"):
        prepare_image(page)


def rectangle(height, width):
    ink = np.zeros((100, 100), np.float32)
    ink[10 : 10 + height, 10 : 10 + width] = 1
    return ink


def test_a_sheet_is_a_rectangle_with_a_digit_in_it():
    sheet = rectangle(60, 80)
    assert find_sheet(sheet) is None
    sheet[30:50, 40:45] = 0
    assert find_sheet(sheet) == (slice(10, 70), slice(10, 90))
    turned = ndimage.rotate(sheet, 20, reshape=False, order=1)
    assert find_sheet(turned) is not None


def test_digits_are_no_sheets():
    y, x = np.indices((100, 100)) - 50
    radius = np.hypot(y / 45, x / 35)
    assert find_sheet(np.float32((radius < 1) & (radius > 0.45))) is None  # a bold zero
    square_zero = rectangle(80, 60)
    square_zero[25:75, 25:55] = 0
    assert find_sheet(square_zero) is None
    small = rectangle(12, 12)
    small[14:18, 14:18] = 0
    assert find_sheet(small) is None


def boxes_of(ink):
    parts, _ = ndimage.label(ink > 0.25)
    return find_boxes(parts, ink)


@pytest.mark.parametrize("width", [2, 10])
def test_a_digit_in_a_box(mnist_data, width):
    images, labels = (array[:20] for array in mnist_data.test)
    pages = [Image.fromarray(np.uint8(255 - 255 * on_page(image))) for image in images]
    for page in pages:
        ImageDraw.Draw(page).rectangle((110, 60, 290, 240), outline=0, width=width)
    prepared = [prepare_image(np.asarray(page)) for page in pages]
    assert np.mean(classify(prepared) == labels) >= 0.95


def test_a_box_is_whole_and_around_other_ink(ink):
    whole, empty, opened = ink.copy(), np.zeros_like(ink), ink.copy()
    for page in (whole, empty, opened):
        page[60:240, [110, 290]] = page[[60, 239], 110:290] = 1
    opened[60, 150:250] = 0
    assert len(boxes_of(whole)) == 1
    assert boxes_of(empty) == boxes_of(opened) == []
