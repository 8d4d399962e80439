"""Tells ink from paper, in each of the few ways that light and colours allow."""

import numpy as np
from scipy import ndimage

from handwriting.ruled_lines import find_lines

# Chosen on the validation split of MNIST, put on paper as in samples/variants.py.
NARROW, WIDE = 1 / 12, 1 / 4  # strokes at most, in longer sides of the page
NEAR = 12  # grey levels that a margin may vary by
FAINTEST = 12  # grey levels between paper and ink, at least
BLACK = 16  # grey levels that no camera tells from black


def without_margins(pixels):
    """Cuts off margins in one colour, as screenshots and pictures that were made square have.

    What is beyond a margin has other colours, along most of the edge and for a quarter of
    the way: no digit is so bold.
    Takes and returns uint8 [H, W] or [H, W, 3].
    """
    whole = pixels
    for _ in range(8):  # each side twice, and it is upright again
        colours = np.int16(pixels[:, ::8]).reshape(len(pixels), -(-pixels.shape[1] // 8), -1)
        like = (np.abs(colours - np.median(colours[0], 0)) <= NEAR).all(-1)
        end = (like.mean(1) > 0.98).argmin() + 2
        beyond = like[end:][: len(like) // 4]
        other = ~beyond[:1].all(0)
        if end >= 4 and other.mean() > 0.6 and beyond[:, other].mean() < 0.1:
            pixels = pixels[end:]
        pixels = np.rot90(pixels)
    return np.ascontiguousarray(pixels) if min(pixels.shape[:2]) >= 16 else whole


def find_inks(pixels):
    """Yields each way to see a page, in words, and how much ink is where, float32 [H, W], 0 to 1.

    Takes uint8 [H, W] or [H, W, 3].
    """
    page, sure = dark_on_light(pixels)
    # Of two colours, the dark.
    plain = dark_on_light(pixels.mean(-1))[0] if pixels.ndim == 3 else page
    other = "other side" if sure else "or the other side"
    narrow = find_ink(page, fill_up(page, NARROW))
    lines = [] if narrow is None else find_lines(narrow > 0.25)
    inks = {
        ("wide",): find_ink(page, fill_up(page, WIDE)),
        ("one grey",): find_ink(page, page.max()),
        ("narrow",): narrow,
        ("darkest",): find_ink(plain, fill_up(plain, NARROW), darkest=True),
        (other, "wide"): find_ink(255 - page, fill_up(255 - page, WIDE)),
        (other, "one grey"): find_ink(255 - page, 255 - page.min()),
    }
    flat = is_flat(page)
    for way, ink in inks.items():
        if ink is None:
            continue
        words = (*way, "on flat paper") if flat and "one grey" not in way else way
        yield words, ink
        for found in lines if way[0] in ("wide", "one grey", "narrow") else []:
            yield (*words, "without lines"), np.where(found, 0, ink)


def dark_on_light(pixels):
    """Grey in which ink and paper differ most, float32 [H, W], 0 to 255; ink is likely dark.

    Takes numbers [H, W] or [H, W, 3]. Returns the grey, and whether the ink is surely dark.
    """
    colours = np.float32(pixels).reshape(*pixels.shape[:2], -1)
    side = max(pixels.shape)
    detail = ndimage.uniform_filter(colours, (side // 8 + 1, side // 8 + 1, 0)) - colours
    flat = detail.reshape(-1, detail.shape[-1])
    direction = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    direction = np.abs(direction) if len(direction) == 1 else direction
    direction /= np.abs(direction).sum()
    grey = colours @ direction - 255 * np.minimum(direction, 0).sum()
    # At the edges of strokes one side is paper, as most of what is around is, and the other is ink.
    strokes = (detail @ direction) ** 2
    around = ndimage.uniform_filter(grey, side // 2 + 1), np.median(grey)
    sides = [((paper - grey) * strokes).sum() >= 0 for paper in around]
    return grey if sides[is_flat(grey)] else 255 - grey, sides[0] == sides[1]


def is_flat(grey):
    """Whether a tenth of a page has one and the same grey, as drawings have and few photographs."""
    grey = np.sort(grey[::2, ::2], None)
    tenth = max(1, len(grey) // 10)
    return bool((grey[tenth:] - grey[:-tenth]).min() < 0.01)


def fill_up(grey, widest):
    """Fills up what is dark and narrower than `widest` longer sides (a morphological closing).

    Takes and returns float32 [H, W].
    """
    widest = max(3, round(widest * max(grey.shape)))
    padded = np.pad(ndimage.gaussian_filter(grey, 1), widest, "edge")
    padded = ndimage.minimum_filter(ndimage.maximum_filter(padded, widest), widest)
    return padded[widest:-widest, widest:-widest]


def find_ink(grey, paper, darkest=False):
    """How much of the paper's light is gone; float32 [H, W], 0 to 1, or None if nothing stands out.

    Takes a grey page, dark on light, and the paper under its ink, each float32 [H, W]. The darkest
    ink is what is left beside a second pen, which is lighter.
    """
    depth = (paper - grey) / (paper + BLACK)
    level, noise = paper_level(depth)
    depth -= level
    strong = depth[(depth > 5 * noise) & (depth * (paper + BLACK) > FAINTEST)]
    if strong.size < 8:
        return None
    full = np.percentile(strong, 95 if darkest else 80)
    # Ink is black before it is full, as in MNIST.
    none, black = (0.5, 0.8) if darkest else (np.clip(4 * noise / full, 0.2, 0.6), 0.8)
    return np.clip((depth / full - none) / max(black - none, 0.3), 0, 1)


def paper_level(depth):
    """The depth that most of the paper has, and about the standard deviation of its grain.

    Of the shortest interval that holds a tenth of all pixels the middle and four times the width.
    """
    depth = np.sort(depth[::2, ::2], None)
    tenth = max(1, len(depth) // 10)
    widths = depth[tenth:] - depth[:-tenth]
    first = widths[: max(1, len(widths) // 2)].argmin()
    return depth[first + tenth // 2], 4 * widths.min()
