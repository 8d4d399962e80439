"""Images as a person would hand them to predict.py, made from MNIST test images.

Each variant takes a digit, uint8 [28, 28], and a numpy Generator, and returns the file.
"""

import io

import numpy as np
from PIL import Image, ImageDraw


def page(digit, rng, scale=None, size=(400, 300), noise=6.0):
    """The digit at a random place of a page, 1.5 to 6 times its size; float [H, W], ink is 1."""
    side = round(28 * (scale or rng.uniform(1.5, 6)))
    x, y = rng.integers(0, size[0] - side + 1), rng.integers(0, size[1] - side + 1)
    ink = Image.new("L", size)
    ink.paste(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC), (x, y))
    return np.asarray(ink) / 255.0


def photograph(ink, rng, paper=255.0, pen=0.0, noise=6.0):
    """Mixes paper and pen (a grey or an RGB colour) where the ink says; uint8 image with noise."""
    ink = ink[..., None] if np.shape(paper) == (3,) else ink
    pixels = paper * (1 - ink) + np.asarray(pen) * ink
    return Image.fromarray(np.uint8(np.clip(pixels + rng.normal(0, noise, pixels.shape), 0, 255)))


def saved(image, **options):
    """The image as the bytes of a file."""
    file = io.BytesIO()
    image.save(file, **options)
    file.seek(0)
    return file


def black_on_white(digit, rng):
    return saved(Image.fromarray(255 - digit), format="PNG")


def random_place(digit, rng):
    return saved(photograph(page(digit, rng), rng, 245), format="PNG")


def lighting(digit, rng):
    ink = page(digit, rng)
    return saved(
        photograph(ink, rng, np.linspace(255, 120, ink.shape[1])[None, :].repeat(len(ink), 0)),
        format="PNG",
    )


def transparent(digit, rng):
    """Black ink, nothing else."""
    ink = Image.fromarray(np.uint8(255 * page(digit, rng)))
    image = Image.new("RGBA", ink.size)
    image.putalpha(ink)
    return saved(image, format="PNG")


def jpeg(digit, rng):
    return saved(photograph(page(digit, rng), rng, 235, 40), format="JPEG", quality=60)


def exif_turned(digit, rng):
    """Stored a quarter turn clockwise, with the tag that says so."""
    image = photograph(page(digit, rng), rng, 245).transpose(Image.Transpose.ROTATE_270)
    exif = Image.Exif()
    exif[0x0112] = 8
    return saved(image, format="JPEG", quality=90, exif=exif)


def blue_on_yellow(digit, rng):
    return saved(
        photograph(page(digit, rng), rng, np.array([250.0, 230, 90]), [30, 40, 160]), format="PNG"
    )


def thinned(mask):
    """The skeleton, one pixel wide, of a boolean mask (Zhang and Suen, 1984)."""
    mask = np.pad(mask, 1)
    while True:
        before = mask.sum()
        for first in (True, False):
            around = (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1)
            n = [np.roll(mask, shift, (0, 1)) for shift in around]
            north, east, south, west = n[0], n[2], n[4], n[6]
            neighbours = sum(a.astype(int) for a in n)
            turns = sum((~a & b).astype(int) for a, b in zip(n, n[1:] + n[:1]))
            if first:
                keep = (north & east & south) | (east & south & west)
            else:
                keep = (north & east & west) | (north & south & west)
            mask = mask & ~((neighbours >= 2) & (neighbours <= 6) & (turns == 1) & ~keep)
        if mask.sum() == before:
            return mask[1:-1, 1:-1]


def thin_strokes(digit, rng, width=5, size=(2048, 1536), reach=(500, 1400)):
    """A pen line `width` pixels wide on a page of 3 megapixels."""
    fine = Image.fromarray(digit).resize((112, 112), Image.Resampling.BICUBIC)
    skeleton = thinned(np.asarray(fine) > 127)
    side = rng.integers(*reach)
    corner = np.array([rng.integers(0, size[0] - side + 1), rng.integers(0, size[1] - side + 1)])
    ink = Image.new("L", size)
    draw = ImageDraw.Draw(ink)
    for y, x in np.argwhere(skeleton):
        for dy, dx in ((0, 0), (0, 1), (1, -1), (1, 0), (1, 1)):
            if y + dy < 112 and 0 <= x + dx < 112 and skeleton[y + dy, x + dx]:
                ends = corner + np.array([[x, y], [x + dx, y + dy]]) * side / 112
                draw.line([tuple(end) for end in ends], fill=255, width=width)
                for end in ends:
                    r = width / 2 - 0.5
                    draw.ellipse([*(end - r), *(end + r)], fill=255)
    return saved(photograph(np.asarray(ink) / 255.0, rng, 240, 30), format="JPEG", quality=85)


VARIANTS = (
    black_on_white,
    random_place,
    lighting,
    transparent,
    jpeg,
    exif_turned,
    blue_on_yellow,
    thin_strokes,
)
