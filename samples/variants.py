"""Images as a person would hand them to predict.py, made from MNIST test images.

Each variant takes a digit, uint8 [28, 28], and a numpy Generator, and returns the file;
`straight_strokes` takes a label.
"""

import io

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage


def page(digit, rng, scale=None, size=(400, 300)):
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


def saved(image, format="PNG", **options):
    """The image as a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    file.seek(0)
    return file


def black_on_white(digit, rng):
    return saved(Image.fromarray(255 - digit))


def random_place(digit, rng):
    return saved(photograph(page(digit, rng), rng, 245))


def lighting(digit, rng):
    ink = page(digit, rng)
    return saved(
        photograph(ink, rng, np.linspace(255, 120, ink.shape[1])[None, :].repeat(len(ink), 0))
    )


def transparent(digit, rng):
    """Black ink, nothing else."""
    ink = Image.fromarray(np.uint8(255 * page(digit, rng)))
    image = Image.new("RGBA", ink.size)
    image.putalpha(ink)
    return saved(image)


def jpeg(digit, rng):
    return saved(photograph(page(digit, rng), rng, 235, 40), format="JPEG", quality=60)


def exif_turned(digit, rng):
    """Stored a quarter turn clockwise, with the tag that says so."""
    image = photograph(page(digit, rng), rng, 245).transpose(Image.Transpose.ROTATE_270)
    exif = Image.Exif()
    exif[0x0112] = 8
    return saved(image, format="JPEG", quality=90, exif=exif)


def blue_on_yellow(digit, rng):
    return saved(photograph(page(digit, rng), rng, np.array([250.0, 230, 90]), [30, 40, 160]))


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


def thin_strokes(digit, rng):
    """A pen line 5 pixels wide on 3 megapixels; loops that a broad pen had filled are open."""
    width, size = 5, (2048, 1536)
    fine = np.asarray(Image.fromarray(digit).resize((112, 112), Image.Resampling.BICUBIC)) > 127
    depth = ndimage.distance_transform_edt(fine)
    filled = depth > 1.6 * np.median(depth[thinned(fine)])
    skeleton = thinned(fine & ~filled)
    side = rng.integers(500, 1400)
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


def grid(shape, rng, directions):
    """Dark or faint lines of a pen a ruler led, turned by up to 3 degrees; float [H, W], ink is 1.

    Every other page has margins, before which the lines end.
    """
    y, x = np.indices(shape) - np.array(shape).reshape(2, 1, 1) / 2
    angle = np.radians(rng.uniform(-3, 3))
    spacing, width, darkness = rng.uniform(20, 80), rng.uniform(1, 3), rng.uniform(0.15, 0.9)
    margin = rng.choice([0, 0.06]) * shape[1]
    turned = [y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)]
    written = np.abs(turned[1]) < shape[1] / 2 - margin
    lines = np.zeros(shape)
    for across in turned[:directions]:
        middle = np.abs((across + rng.uniform(0, spacing)) % spacing - spacing / 2)
        lines = np.maximum(lines, np.clip(width / 2 - middle + 0.5, 0, 1))
    return darkness * lines * written


def ruled(digit, rng, directions=1):
    ink = page(digit, rng)
    lines = grid(ink.shape, rng, directions)
    return saved(photograph(np.maximum(ink, lines), rng, 240, 30), format="JPEG", quality=85)


def squared(digit, rng):
    return ruled(digit, rng, directions=2)


def mottled(digit, rng):
    """A tight crop of paper whose grain is several pixels wide."""
    ink = page(digit, rng, rng.uniform(3.5, 5), (150, 150))
    grain = ndimage.gaussian_filter(rng.normal(size=ink.shape), rng.uniform(1, 4))
    paper = 190 + rng.uniform(6, 14) * grain / grain.std()
    return saved(photograph(ink, rng, paper, 50, noise=3))


STRAIGHT = (  # the strokes of each digit, x and y of their ends
    ((0.15, 0, 0.85, 0, 0.85, 1, 0.15, 1, 0.15, 0),),
    ((0.5, 0, 0.5, 1),),
    ((0.1, 0, 0.9, 0, 0.1, 1, 0.9, 1),),
    ((0.1, 0, 0.9, 0, 0.5, 0.4, 0.9, 0.7, 0.7, 1, 0.1, 1),),
    ((0.2, 0, 0.1, 0.6, 0.9, 0.6), (0.7, 0.1, 0.7, 1)),
    ((0.9, 0, 0.2, 0, 0.2, 0.4, 0.8, 0.5, 0.8, 0.9, 0.1, 1),),
    ((0.7, 0, 0.2, 0.5, 0.2, 1, 0.8, 1, 0.8, 0.6, 0.2, 0.6),),
    ((0.1, 0, 0.9, 0, 0.4, 1),),
    ((0.2, 0, 0.8, 0, 0.2, 1, 0.8, 1, 0.2, 0),),
    ((0.8, 0.4, 0.2, 0.4, 0.2, 0, 0.8, 0, 0.8, 1),),
)


def straight_strokes(label, rng):
    """A digit drawn with a ruler and a pen of 2 to 12 pixels in 100 to 2,000 pixels."""
    size = 100 * 20 ** rng.uniform() * rng.uniform((0.7, 0.7), (1, 1))
    height = min(size) * rng.uniform(0.5, 0.95)
    width = min(height * rng.uniform(0.5, 0.9), size[0])
    corner = rng.uniform((0, 0), size - (width, height))
    ink = Image.new("L", [round(side) for side in size])
    pen = round(np.clip(rng.uniform(2, 12), 2, max(2, height / 8)))
    for stroke in STRAIGHT[label]:
        ends = corner + np.reshape(stroke, (-1, 2)) * (width, height)
        ImageDraw.Draw(ink).line([tuple(end) for end in ends], 255, pen, "curve")
    return saved(photograph(np.asarray(ink) / 255.0, rng, noise=rng.choice([0, 4])))


VARIANTS = (
    black_on_white,
    random_place,
    lighting,
    transparent,
    jpeg,
    exif_turned,
    blue_on_yellow,
    thin_strokes,
    ruled,
    squared,
    mottled,
)
