"""The preparation of a photograph for the network."""

import io
import logging
import warnings

import numpy as np
import pytest
from conftest import read_page
from PIL import Image, ImageDraw, ImageOps
from scipy import ndimage

from handwriting.images import prepare_image, read_image
from samples.variants import VARIANTS, saved, straight_strokes


@pytest.fixture(scope="module")
def digits(mnist_data):
    return mnist_data.test.images[:20]


def on_paper(digit, side=140, at=(200, 60), size=(400, 300)):
    """Black on a white page, mode L."""
    page = Image.new("L", size, "white")
    page.paste(Image.fromarray(255 - digit).resize((side, side), Image.Resampling.BICUBIC), at)
    return page


def prepared(file):
    """The image that predict.py shows with the 2017 model, None if there is no digit."""
    return read_page(read_image(file))[0]


def read(files):
    """The digits that predict.py reads with the 2017 model."""
    return [read_page(read_image(file))[1] for file in files]


def assert_alike(image, digit):
    """Nearly all of the ink of the one is where the other has it."""
    overlap = np.minimum(image, digit).sum() / np.maximum(image, digit).sum()
    assert overlap > 0.7, f"{overlap:.2f} of the ink overlaps"


def test_white_on_black_28x28_stays_pixel_for_pixel(digits):
    for digit in digits:
        np.testing.assert_array_equal(prepared(saved(Image.fromarray(digit))), digit)


def test_longer_side_is_20_pixels(digits):
    for digit in digits:
        rows, columns = np.nonzero(prepared(saved(on_paper(digit))))
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20


def test_centre_of_mass_is_the_centre(digits):
    for digit in digits:
        image = prepared(saved(on_paper(digit))).astype(float)
        middle = (np.indices((28, 28)) * image).sum((1, 2)) / image.sum()
        np.testing.assert_allclose(middle, 14, atol=0.6)


@pytest.mark.parametrize(
    "mode, format",
    [
        *(("1", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("I;16", "PNG"), ("P", "GIF"), ("RGB", "BMP")),
        *(("L", "JPEG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "WEBP")),
        *(("I;16", "TIFF"), ("CMYK", "TIFF")),
    ],
)
def test_modes_and_formats(digits, mode, format):
    page = on_paper(digits[1])
    if mode == "I;16":
        page = Image.fromarray(np.asarray(page).astype(np.uint16) * 257)
    elif mode == "CMYK":
        page = page.convert("RGB").convert(mode)
    else:
        page = page.convert(mode, dither=Image.Dither.NONE)
    assert_alike(prepared(saved(page, format)), digits[1])


def test_small_image_of_a_digit_is_not_blank(digits):
    for digit in digits:
        small = Image.fromarray(255 - digit[4:24, 4:24]).resize((8, 8), Image.Resampling.BOX)
        assert prepared(saved(small)).max() > 128


def test_first_frame_is_read(digits):
    file = saved(on_paper(digits[0]), "GIF", save_all=True, append_images=[on_paper(digits[1])])
    assert_alike(prepared(file), digits[0])


@pytest.mark.parametrize("tag, turn", [(3, "ROTATE_180"), (6, "ROTATE_90"), (8, "ROTATE_270")])
def test_exif_orientation(digits, tag, turn):
    exif = Image.Exif()
    exif[0x0112] = tag
    page = on_paper(digits[0]).transpose(Image.Transpose[turn])
    assert_alike(prepared(saved(page, "JPEG", exif=exif)), digits[0])


def test_light_on_dark(digits):
    page = Image.fromarray(255 - np.asarray(on_paper(digits[0])))
    assert_alike(prepared(saved(page)), digits[0])


@pytest.mark.parametrize("pen", ["black", "white", "red"])
def test_transparent_background(digits, pen):
    page = Image.new("RGBA", (400, 300), pen)
    page.putalpha(Image.fromarray(255 - np.asarray(on_paper(digits[0]))))
    assert_alike(prepared(saved(page)), digits[0])


def test_light_card_on_nothing_has_white_beyond_it():
    card = Image.new("LA", (100, 100))
    card.paste((200, 255), (5, 5, 95, 95))
    assert read_image(saved(card))[0, 0] == 255


@pytest.mark.parametrize("transparency", [255, 0], ids=["white", "black"])
def test_paper_made_transparent(mnist_data, transparency):
    images, labels = (array[:50] for array in mnist_data.test)
    pages = [np.asarray(on_paper(image)) for image in images]
    pages = [Image.fromarray(255 - page if transparency == 0 else page) for page in pages]
    files = [saved(page, transparency=transparency) for page in pages]
    assert np.mean(read(files) == labels) >= 0.98


@pytest.mark.parametrize(
    "card, pen", [("white", "black"), ("black", "white"), ("red", "white"), ("yellow", "black")]
)
def test_card_on_nothing_has_its_colour_beyond_it(digits, card, pen):
    ink = Image.fromarray(255 - np.asarray(on_paper(digits[0])))
    image = Image.new("RGBA", (1000, 800))
    image.paste(card, (300, 200, 700, 500))
    image.paste(pen, (300, 200), ink)
    assert read([saved(image)]) == [7]


def test_coloured_ink_as_bright_as_the_paper(digits):
    paper, pen = Image.new("RGB", (400, 300), (90, 160, 90)), (235, 90, 90)
    paper.paste(pen, mask=Image.fromarray(255 - np.asarray(on_paper(digits[0]))))
    assert_alike(prepared(saved(paper)), digits[0])


def test_uneven_light(digits):
    light = np.linspace(1, 0.45, 400)
    page = Image.fromarray(np.uint8(np.asarray(on_paper(digits[0])) * light))
    assert_alike(prepared(saved(page)), digits[0])


def test_hard_shadow(digits):
    light = np.where(np.add.outer(0.3 * np.arange(300), np.arange(400)) > 330, 0.6, 1)
    page = Image.fromarray(np.uint8(np.asarray(on_paper(digits[0], at=(20, 60))) * light))
    assert_alike(prepared(saved(page)), digits[0])


def test_light_that_falls_off_to_the_corners(digits):
    y, x = np.indices((300, 400))
    light = 1 - 0.3 * (((x - 200) / 200) ** 2 + ((y - 150) / 150) ** 2)
    for digit in digits[:5]:
        page = Image.fromarray(np.uint8(np.asarray(on_paper(digit)) * light))
        assert_alike(prepared(saved(page)), digit)


def test_dark_border(digits):
    page = Image.new("L", (440, 340), 20)
    page.paste(on_paper(digits[0]), (20, 20))
    assert_alike(prepared(saved(page)), digits[0])


def ruled(page, degrees, directions=1, spacing=40, margin=0, shade=60):
    """Draws lines 2 pixels wide all over a page, askew by so many degrees."""
    lines = Image.new("L", (800, 800), "white")
    for at in range(15, 800, spacing):
        ImageDraw.Draw(lines).line([0, at, 800, at], shade, 2)
        if directions == 2:
            ImageDraw.Draw(lines).line([at, 0, at, 800], shade, 2)
    lines = lines.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white")
    ruling = Image.new("L", page.size, "white")
    ruling.paste(lines.crop((200, 200, 600 - 2 * margin, 500)), (margin, 0))
    return Image.fromarray(np.minimum(page, ruling))


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("degrees", [0, 0.5, -1, 2, -3])
def test_ruled_and_squared_pages(digits, degrees, directions):
    page = ruled(on_paper(digits[0]), degrees, directions)
    assert_alike(prepared(saved(page)), digits[0])


@pytest.mark.parametrize("options", [{"margin": 25}, {"shade": 170}, {"spacing": 110}], ids=str)
def test_ruled_page_with_margins_faint_lines_or_few(digits, options):
    assert_alike(prepared(saved(ruled(on_paper(digits[0]), 2, **options))), digits[0])


@pytest.mark.parametrize("shade", [130, 210])
def test_panel_on_a_lighter_page_is_paper(mnist_data, shade):
    images, labels = (array[:20] for array in mnist_data.test)
    pages = [np.minimum(np.asarray(on_paper(image)), shade) for image in images]
    for page in pages:
        page[:, :180] = page[:40] = page[220:] = page[:, 380:] = 255
    assert np.mean(read([saved(Image.fromarray(page)) for page in pages]) == labels) >= 0.95


def tight_crop(digit):
    """Black on white without a margin, mode L."""
    rows, columns = np.nonzero(digit > 64)
    ink = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return ImageOps.scale(Image.fromarray(255 - ink), 8)


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_drawn_digits_may_fill_their_image_to_the_corners(mnist_data, format):
    sevens = mnist_data.test.images[mnist_data.test.labels == 7][:20]
    assert read([saved(tight_crop(digit), format) for digit in sevens]) == [7] * 20


@pytest.mark.parametrize("grey", [0.6, 0.9])
def test_drawing_on_a_grey_panel_beside_white_has_two_papers(digits, grey):
    panel = np.uint8(grey * np.asarray(on_paper(digits[0])))
    page = Image.fromarray(np.pad(panel, ((0, 0), (0, 300)), constant_values=255))
    assert_alike(prepared(saved(page)), digits[0])


def overexposed(digit, rng, brightest):
    """A photograph whose left part is as white as its sensor goes."""
    page = np.asarray(on_paper(digit)) / 255 * np.linspace(brightest, 150, 400)
    page += rng.normal(0, 3, page.shape)
    return saved(Image.fromarray(np.uint8(np.clip(page, 0, 255))))


def test_photograph_that_is_white_in_part_has_uneven_light(digits):
    rng = np.random.default_rng(0)
    for digit in digits[:4]:
        assert_alike(prepared(overexposed(digit, rng, 320)), digit)


def test_photographs_that_are_white_in_part_are_read(mnist_data):
    rng = np.random.default_rng(0)
    files = [overexposed(digit, rng, 350) for digit in mnist_data.test.images[:20]]
    np.testing.assert_array_equal(read(files), mnist_data.test.labels[:20])


def test_border_more_even_than_the_paper(digits):
    page = np.asarray(on_paper(digits[0])) * 0.8 + 20
    page += np.random.default_rng(0).normal(0, 4, page.shape)
    image = np.pad(np.uint8(np.clip(page, 0, 255)), 30, constant_values=60)
    assert_alike(prepared(saved(Image.fromarray(image))), digits[0])


def test_specks_are_dropped(digits):
    page = on_paper(digits[0])
    for at in ((20, 20), (120, 250), (370, 30)):
        page.paste(0, (*at, at[0] + 5, at[1] + 5))
    assert_alike(prepared(saved(page)), digits[0])


def test_what_runs_off_the_page_is_dropped(digits):
    page = on_paper(digits[0])
    page.paste(0, (30, 0, 60, 120))
    assert_alike(prepared(saved(page)), digits[0])


@pytest.mark.parametrize("pen", [232, 180])
def test_faint_ink(digits, pen):
    page = Image.new("L", (400, 300), 250)
    page.paste(pen, mask=Image.fromarray(255 - np.asarray(on_paper(digits[0]))))
    assert_alike(prepared(saved(page)), digits[0])


def test_each_reading_has_a_name_and_an_image_of_its_own(digits):
    readings = prepare_image(np.asarray(on_paper(digits[0])))
    assert len({reading.name for reading in readings}) == len(readings) >= 3
    assert len({reading.image.tobytes() for reading in readings}) == len(readings)
    assert {(reading.image.shape, reading.image.dtype.name) for reading in readings} == {
        ((28, 28), "uint8")
    }


def test_what_is_framed_as_mnist_has_one_reading(digits):
    [reading] = prepare_image(digits[0])
    assert reading.name == ("as it is",)


def test_thin_pen_on_a_large_photo_is_as_wide_as_in_mnist():
    page = np.full((1536, 2048), 240, np.uint8)
    page[300:1300, 1000:1004] = 30
    image = prepared(saved(Image.fromarray(page), "JPEG"))
    assert 2 <= (image[14] / 255).sum() <= 3.2


def test_thin_faint_lines_become_as_black_as_in_mnist():
    page = np.full((2000, 2000), 255, np.uint8)
    page[400:1600, 1000:1002] = 0
    image = prepared(saved(Image.fromarray(page)))
    assert image[14].max() > 240


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(8, 5000), (5000, 8)])
def test_an_image_that_is_reduced_to_a_line_is_no_surprise(size):
    page = np.full(size, 255, np.uint8)
    page[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 0
    assert prepared(saved(Image.fromarray(page))).max() == 255


@pytest.mark.parametrize("size", [(4000, 3000), (8, 8), (60, 3000)])
def test_any_size(size):
    width, height = size
    page = np.full((height, width), 255, np.uint8)
    page[height // 5 : -height // 5, width // 2 : width // 2 + max(1, width // 9)] = 0
    image = prepared(saved(Image.fromarray(page)))
    assert image.shape == (28, 28) and image.dtype == np.uint8 and image[14, 14] > 128


@pytest.mark.parametrize("shade", [0, 130, 230, 255])
def test_blank_page(shade):
    """At 0 and 255 most of the paper is clipped, and the rest of its grain looks like ink."""
    noise = np.random.default_rng(0).normal(shade, 4, (240, 320))
    page = Image.fromarray(np.uint8(np.clip(noise, 0, 255)))
    with pytest.raises(ValueError, match="no ink found, the page is blank"):
        prepared(saved(page))


@pytest.mark.parametrize("width", [1, 2, 4])
def test_blank_mottled_page(width):
    grain = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(150, 150)), width)
    page = np.uint8(190 + 12 * grain / grain.std())
    try:
        assert read_page(page) == (None, None)
    except ValueError as error:
        assert "no ink found" in str(error)


def test_page_with_nothing_but_lines():
    with pytest.raises(ValueError, match="no ink found"):
        prepared(saved(ruled(Image.new("L", (400, 300), "white"), 1)))


@pytest.mark.parametrize("content", [b"", b"three\n" * 100])
def test_not_an_image(content):
    with pytest.raises(ValueError, match="not an image"):
        read_image(io.BytesIO(content))


@pytest.mark.parametrize("top", [1023, 4095, 65535])
@pytest.mark.parametrize(
    "type, format",
    [("uint16", "PNG"), (">u2", "TIFF"), ("<u2", "TIFF"), ("int32", "TIFF"), ("float32", "TIFF")],
)
def test_more_than_8_bits_are_read_by_their_own_range(digits, type, format, top):
    page = np.asarray(on_paper(digits[0], at=(90, 60), size=(320, 240))) / 255
    image = Image.fromarray((top * (0.5 + page / 2)).astype(type))
    np.testing.assert_allclose(read_image(saved(image, format)), 255 * page, atol=1)


def test_16_bits_of_a_full_range_become_the_8_bits_they_were():
    values = np.arange(256, dtype=np.uint16).reshape(16, 16)
    np.testing.assert_array_equal(read_image(saved(Image.fromarray(257 * values))), values)


@pytest.mark.parametrize("value", [1e6, -1e6, np.inf])
def test_hot_and_dead_pixels_do_not_count(digits, value):
    page = np.asarray(on_paper(digits[0]), np.float32)
    page[0, :3] = value
    assert_alike(prepared(saved(Image.fromarray(page), "TIFF")), digits[0])


def test_pixels_that_are_no_number(digits):
    page = np.float32(on_paper(digits[0])) / 1000
    page[:3, :3] = np.nan
    assert_alike(prepared(saved(Image.fromarray(page), "TIFF")), digits[0])


def test_grey_image_in_colours_is_grey(digits):
    assert read_image(saved(on_paper(digits[0]).convert("RGB"))).shape == (240, 320)


@pytest.mark.parametrize("size", [(3000, 1500), (321, 100), (320, 320)])
def test_longer_side_is_reduced_to_320(size):
    width, height = size
    scale = min(1, 320 / width)
    shape = (round(height * scale), round(width * scale))
    assert read_image(saved(Image.new("L", size))).shape == shape


@pytest.mark.parametrize("side", [8, 12, 17, 22, 25])
def test_28x28_of_another_size_of_digit_is_prepared(digits, side):
    image = Image.new("L", (28, 28))
    image.paste(Image.fromarray(digits[0][4:24, 4:24]).resize((side, side)), (1, 1))
    rows, columns = np.nonzero(prepared(saved(image)))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shift", [-3, 3])
def test_28x28_off_centre_is_prepared(digits, shift, axis):
    image = Image.fromarray(np.roll(digits[0], shift, axis))
    np.testing.assert_allclose(ndimage.center_of_mass(prepared(saved(image))), 14, atol=1.5)


def test_28x28_filled_from_edge_to_edge_stays():
    """Such are Fashion-MNIST's images."""
    image = np.zeros((28, 28), np.uint8)
    image[:, 10:20] = 200
    image[[0, -1], 10:20] = 60
    np.testing.assert_array_equal(prepared(saved(Image.fromarray(image))), image)


def test_28x28_black_on_white_is_prepared(digits):
    assert_alike(prepared(saved(Image.fromarray(255 - digits[0]))), digits[0])


@pytest.mark.parametrize("background, stays", [(20, True), (60, False)])
def test_28x28_on_a_background_that_is_all_but_black_stays(digits, background, stays):
    image = np.maximum(digits[0], background)
    assert np.array_equal(prepared(saved(Image.fromarray(image))), image) == stays


def test_28x28_dim_is_prepared(digits):
    assert prepared(saved(Image.fromarray(digits[0] // 3))).max() > 240


@pytest.mark.parametrize("value", [7, -1e30, np.nan])
def test_page_of_one_value(value):
    image = Image.fromarray(np.full((40, 40), value, np.float32))
    with pytest.raises(ValueError, match="no ink"):
        prepared(saved(image, "TIFF"))


FORMATS = ["AVIF", "BLP", "BMP", "GIF", "ICNS", "JPEG", "PNG", "SPIDER", "TIFF", "WEBP"]


@pytest.mark.parametrize("format", FORMATS)
def test_damaged(digits, format, capfd):
    """Whatever becomes of a file, it is read or is an error of one line, and nothing is printed."""
    page = on_paper(digits[0], 40, (4, 4), (48, 48)).convert("P" if format == "BLP" else "L")
    try:
        content = saved(page, format).getvalue()
    except KeyError:
        pytest.skip(f"this Pillow has no {format}")
    rng = np.random.default_rng(0)
    errors = []
    for trial in range(100):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[rng.integers(0, min(len(damaged), 200), 3)] = rng.integers(0, 256, 3)
        try:
            read_image(io.BytesIO(damaged[: len(damaged) // (1 + trial % 2)].tobytes()))
        except ValueError as error:
            errors.append(str(error))
    assert errors and all(error and "\n" not in error for error in errors)
    assert not any(error.endswith(": ") for error in errors)
    assert capfd.readouterr().err == ""


def test_error_without_a_text_has_its_name(monkeypatch):
    monkeypatch.setattr(Image, "open", lambda file: next(iter(())))
    with pytest.raises(ValueError, match="broken image: StopIteration"):
        read_image("image.png")


def test_remarks_of_decoders_are_not_shown(digits, monkeypatch):
    opened = Image.open

    def remark(file):
        warnings.warn("odd metadata", stacklevel=1)
        return opened(file)

    monkeypatch.setattr(Image, "open", remark)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        read_image(saved(on_paper(digits[0])))
    assert not shown
    assert not logging.getLogger("PIL.TiffImagePlugin").isEnabledFor(logging.ERROR)


@pytest.mark.parametrize("excess", [1.5, 3])  # Pillow warns above the limit, raises above twice it
def test_decompression_bomb(digits, monkeypatch, excess):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(400 * 300 / excess))
    with pytest.raises(ValueError, match="decompression bomb"):
        read_image(saved(on_paper(digits[0])))


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 7)])
def test_fewer_than_8x8_pixels(size):
    with pytest.raises(ValueError, match="{}x{} pixels are too few".format(*size)):
        read_image(saved(Image.new("L", size)))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_digits_on_paper_are_read(variant, mnist_data):
    """25 of them; benchmarks/handwriting.py counts more."""
    rng = np.random.default_rng(0)
    images, labels = mnist_data.test.images[:25], mnist_data.test.labels[:25]
    assert np.sum(read([variant(image, rng) for image in images]) == labels) >= 24


def test_digits_of_straight_strokes_are_read():
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 10
    np.testing.assert_array_equal(read([straight_strokes(label, rng) for label in labels]), labels)


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_image(tmp_path / "missing.png")
