"""The preparation of a photograph for the network."""

import io

import numpy as np
import pytest
import tensorflow as tf
from conftest import MODEL_DIR_2017
from PIL import Image
from variants import VARIANTS

import predict

from images import centre, prepare_image, read_image, resize, ruled_lines, thicken


@pytest.fixture(scope="module")
def digits(mnist_data):
    return mnist_data.test.images[:20]


def saved(image, format="PNG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


def on_paper(digit, side=140, at=(200, 60), size=(400, 300)):
    """Black on a white page, mode L."""
    page = Image.new("L", size, "white")
    page.paste(Image.fromarray(255 - digit).resize((side, side), Image.Resampling.BICUBIC), at)
    return page


def prepared(file):
    return prepare_image(read_image(file))


def assert_alike(image, digit):
    """Nearly all of the ink of the one is where the other has it."""
    overlap = np.minimum(image, digit).sum() / np.maximum(image, digit).sum()
    assert overlap > 0.75, f"{overlap:.2f} of the ink overlaps"


def test_white_on_black_28x28_stays_pixel_for_pixel(digits):
    for digit in digits:
        np.testing.assert_array_equal(prepared(saved(Image.fromarray(digit))), digit)


def test_longer_side_is_20_pixels(digits):
    for digit in digits:
        rows, columns = np.nonzero(prepared(saved(on_paper(digit))))
        assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20


def test_aspect_ratio_is_kept():
    assert resize(np.ones((100, 40), np.float32), 20).shape == (20, 8)


def test_centre_of_mass_is_the_centre(digits):
    for digit in digits:
        image = prepared(saved(on_paper(digit))).astype(float)
        middle = (np.indices((28, 28)) * image).sum((1, 2)) / image.sum()
        np.testing.assert_allclose(middle, 14, atol=0.6)


def test_digit_far_off_balance_stays_inside():
    digit = np.full((20, 20), 0.01, np.float32)
    digit[0, 0] = 1000
    assert np.count_nonzero(centre(np.minimum(digit, 1))) == 400


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


def test_dark_border(digits):
    page = Image.new("L", (440, 340), 20)
    page.paste(on_paper(digits[0]), (20, 20))
    assert_alike(prepared(saved(page)), digits[0])


def test_ruled_page(digits):
    page = np.array(on_paper(digits[0]))
    page[15::30] = np.minimum(page[15::30], 60)
    assert_alike(prepared(saved(Image.fromarray(page))), digits[0])


def test_ruled_lines_leave_strokes_alone():
    mask = np.zeros((100, 100), bool)
    mask[50] = True
    mask[20:80, 40:50] = True
    expected = np.zeros_like(mask)
    expected[50, :40] = expected[50, 50:] = True
    np.testing.assert_array_equal(ruled_lines(mask), expected)


def test_thin_pen_on_a_large_photo_is_as_wide_as_in_mnist():
    page = np.full((1536, 2048), 240, np.uint8)
    page[300:1300, 1000:1004] = 30
    image = prepared(saved(Image.fromarray(page), "JPEG"))
    assert 2 <= (image[14] / 255).sum() <= 4


def test_wide_strokes_are_not_widened(digits):
    digit = np.zeros((80, 80), np.float32)
    digit[:, 30:50] = 1
    assert thicken(digit).sum() == pytest.approx(digit.sum(), rel=0.01)


@pytest.mark.parametrize("size", [(4000, 3000), (8, 8), (60, 3000)])
def test_any_size(size):
    width, height = size
    page = np.full((height, width), 255, np.uint8)
    page[height // 5 : -height // 5, width // 2 : width // 2 + max(1, width // 9)] = 0
    image = prepared(saved(Image.fromarray(page)))
    assert image.shape == (28, 28) and image.dtype == np.uint8 and image[14, 14] > 128


@pytest.mark.parametrize("shade", [0, 130, 255])
def test_blank_page(shade):
    noise = np.random.default_rng(0).normal(shade, 4, (300, 400))
    page = Image.fromarray(np.uint8(np.clip(noise, 0, 255)))
    with pytest.raises(ValueError, match="no ink"):
        prepared(saved(page))


@pytest.mark.parametrize("content", [b"", b"three\n" * 100])
def test_not_an_image(content):
    with pytest.raises(ValueError, match="not an image"):
        read_image(io.BytesIO(content))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_truncated(digits, format):
    content = saved(on_paper(digits[0]), format).getvalue()
    with pytest.raises(ValueError, match=r"\w"):
        read_image(io.BytesIO(content[: len(content) * 6 // 10]))


@pytest.mark.parametrize("excess", [1.5, 3])  # Pillow warns above the limit, raises above twice it
def test_decompression_bomb(digits, monkeypatch, excess):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(400 * 300 / excess))
    with pytest.raises(ValueError, match="decompression bomb"):
        read_image(saved(on_paper(digits[0])))


def test_one_pixel():
    with pytest.raises(ValueError, match="1x1"):
        read_image(saved(Image.new("L", (1, 1))))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_digits_on_paper_are_read(variant, mnist_data):
    """50 of them; benchmarks/handwriting.py counts more."""
    rng = np.random.default_rng(0)
    images, labels = mnist_data.test.images[:50], mnist_data.test.labels[:50]
    read = np.stack([prepared(variant(image, rng)) for image in images])
    estimator = predict.load_estimator(MODEL_DIR_2017)
    input_fn = lambda: tf.data.Dataset.from_tensor_slices(read).batch(50)  # noqa: E731
    classes = [prediction["class"] for prediction in estimator.predict(input_fn)]
    assert np.sum(classes == labels) >= 48


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_image(tmp_path / "missing.png")
