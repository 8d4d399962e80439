"""Image files like the files that people give to predict.py, made from MNIST images.

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
    """Mixes paper and pen (a grey or an RGB colour) by the ink; returns uint8 with noise."""
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
    """Black ink on a transparent page."""
    ink = Image.fromarray(np.uint8(255 * page(digit, rng)))
    image = Image.new("RGBA", ink.size)
    image.putalpha(ink)
    return saved(image)


def jpeg(digit, rng):
    return saved(photograph(page(digit, rng), rng, 235, 40), format="JPEG", quality=60)


def exif_turned(digit, rng):
    """A page that is stored a quarter turn clockwise, with the tag of this turn."""
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
    """A line 5 pixels wide on 3 megapixels. Loops that a broad pen filled are open again."""
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
    """Dark or faint ruled lines, turned by up to 3 degrees; float [H, W], ink is 1.

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


def photographed(digit, rng, turned=0, light=1.0, contrast=1.0):
    """The digit on paper with soft grain, in a light that falls off to one side.

    Returns ink, float [H, W], and pixels, float [H, W, 3]; `turned` is in degrees.
    """
    ink = Image.fromarray(digit).rotate(turned, Image.Resampling.BICUBIC)
    ink = page(np.asarray(ink), rng, rng.uniform(5, 10), (300, 400))
    y, x = np.indices(ink.shape) / 400
    side = rng.uniform(-0.2, 0.2, 2)
    paper = rng.uniform(170, 235) * np.array([1, rng.uniform(0.9, 1), rng.uniform(0.8, 1)])
    pen = rng.uniform(30, 90, 3)
    pixels = paper + contrast * ink[..., None] * (pen - paper)
    pixels *= (light * (1 - side[0] * y - side[1] * x))[..., None]
    grain = ndimage.gaussian_filter(rng.normal(size=ink.shape), 0.8)
    return ink, pixels + rng.uniform(1, 5) * (grain / grain.std())[..., None]


def file_of(pixels):
    image = Image.fromarray(np.uint8(np.clip(np.round(pixels), 0, 255)))
    return saved(image, format="JPEG", quality=85)


def margin(digit, rng, shade):
    """A plain margin of 3 to 30 % of the longer side, on all sides or on two."""
    _, pixels = photographed(digit, rng)
    width = round(400 * rng.uniform(0.03, 0.3))
    sides = np.array([[1, 1], [1, 0], [0, 1]])[rng.integers(3)]
    widths = [(width * side, width * side) for side in sides]
    return file_of(np.pad(pixels, [*widths, (0, 0)], constant_values=shade))


def white_margin(digit, rng):
    return margin(digit, rng, 255)


def black_margin(digit, rng):
    return margin(digit, rng, 0)


def grey_margin(digit, rng):
    return margin(digit, rng, rng.integers(40, 220))


def hard_shadow(digit, rng):
    """The edge of a shadow crosses the page near its middle."""
    y, x = np.indices((400, 300)) - np.array([200, 150]).reshape(2, 1, 1)
    angle = rng.uniform(0, 2 * np.pi)
    beyond = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-80, 80)
    light = 1 - rng.uniform(0.3, 0.6) / (1 + np.exp(-beyond / rng.uniform(1, 8)))
    return file_of(photographed(digit, rng, light=light)[1])


def corners(rng):
    """Light that falls off to the corners, by a third to two thirds; float [H, W]."""
    y, x = np.indices((400, 300)) / np.array([200, 150]).reshape(2, 1, 1) - 1
    return 1 - rng.uniform(0.33, 0.67) * (x**2 + y**2) / 2


def dark_corners(digit, rng):
    return file_of(photographed(digit, rng, light=corners(rng))[1])


def half_contrast(digit, rng):
    return file_of(photographed(digit, rng, light=corners(rng), contrast=0.5)[1])


def cropped_to_ink(digit, rng):
    ink, pixels = photographed(digit, rng)
    rows, columns = np.nonzero(ink > 0.5)
    return file_of(pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])


def turned_left(digit, rng):
    return file_of(photographed(digit, rng, turned=15)[1])


def turned_right(digit, rng):
    return file_of(photographed(digit, rng, turned=-15)[1])


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
    """A digit of straight lines: a pen of 2 to 12 pixels on a page of 100 to 2,000 pixels."""
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
    white_margin,
    black_margin,
    grey_margin,
    hard_shadow,
    dark_corners,
    half_contrast,
    cropped_to_ink,
    turned_left,
    turned_right,
)
