"""Finds the digit among the ink of a page, and draws it as MNIST does."""

import numpy as np
from PIL import Image
from scipy import ndimage

# Chosen on the validation split of MNIST, put on paper as in samples/variants.py.
LEAST = 20  # pixels of ink that a digit has
SHORTEST = 1 / 25  # longer side of a digit at least, in longer sides of the page
THIN = 6  # width of strokes that are widened, in 80ths of the digit's longer side
WIDTHS = 11, 7  # that they are widened to, in the same
COUNTER = 6  # width, in the same, of a gap between strokes that is kept open


def at_edges(image):
    """The values along the four edges of [H, W], those in the corners twice."""
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def find_digits(ink):
    """Yields which of the ink may be the digit, in words, and that ink, float32 [h, w].

    Takes float32 [H, W], 0 to 1.
    """
    parts, _ = ndimage.label(ndimage.maximum_filter(ink > 0.25, 3))
    mass = np.bincount(parts.ravel(), ink.ravel())
    mass[0] = 0
    boxes = ndimage.find_objects(parts)
    mass[find_frames(parts, boxes, ink)] = 0
    inner = mass.copy()
    inner[at_edges(parts)] = 0
    ways = [((), inner)]
    if inner.max() < 0.2 * mass.max():  # what is inside may be specks beside the digit
        ways = [((), mass), (("inside",), inner)]
    for words, taken in ways:
        chosen = (taken >= 0.1 * taken.max()) & (taken >= LEAST)
        if not chosen.any():
            continue
        rows, columns = zip(*(boxes[i - 1] for i in np.flatnonzero(chosen)))
        box = tuple(
            slice(min(part.start for part in side), max(part.stop for part in side))
            for side in (rows, columns)
        )
        if max(part.stop - part.start for part in box) >= SHORTEST * max(ink.shape):
            yield words, np.where(chosen[parts[box]], ink[box], 0)


def find_frames(parts, boxes, ink):
    """The numbers of the parts that are a rectangle around other ink: a sheet's edge, or a form's.

    Takes int [H, W], 0 where no part is, the slices of each part, and float32 [H, W], 0 to 1.
    """
    found = []
    for number, box in enumerate(boxes, 1):
        part = parts[box] == number
        if min(part.shape) < LEAST or ink[box][~part].sum() < LEAST:
            continue
        whole = ndimage.binary_fill_holes(part)
        y, x = np.nonzero(whole & ~ndimage.binary_erosion(whole))
        angle = np.radians(np.arange(0, 90, 5))[:, None]
        across, down = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        rectangle = ((np.ptp(across, 1) + 1) * (np.ptp(down, 1) + 1)).min()
        if whole.sum() > 0.88 * rectangle and ink[box][whole & ~part].sum() >= LEAST:
            found.append(number)
    return found


def widths(digit):
    """Yields a digit with strokes as wide as usual in MNIST, if they are thinner, and as they are.

    Gaps between strokes stay open. Takes float32 [H, W], yields words and float32 [h, w], 0 to 1.
    """
    digit = crop(digit)
    # A stroke of width w has w of area and 2 of edge for each 1 of length.
    padded = np.pad(digit, 1)
    across, along = np.diff(padded, axis=1)[1:], np.diff(padded, axis=0)[:, 1:]
    scale = max(digit.shape) / 80
    width = 2 * digit.sum() / max(np.hypot(across, along).sum(), 1e-9) / scale
    if width < THIN:
        # Of lines this thin a smaller image would keep too little.
        small = resize(ndimage.maximum_filter(digit, int(np.ceil(scale))), 80)
        distance = ndimage.distance_transform_edt(np.pad(small, WIDTHS[0]) < small.max() / 2)
        for usual in WIDTHS:
            growth = (usual - width) / 2
            gap = ndimage.maximum_filter(distance, 2 * round(growth) + 3)
            growth = np.maximum(0, np.minimum(growth, gap - COUNTER / 2))
            yield (f"width {usual}",), np.float32(np.clip(growth + 1 - distance, 0, 1))
    yield (), digit


def crop(digit):
    """Cuts off what has no ink; float32 [H, W] to float32 [h, w]."""
    return digit[ndimage.find_objects(np.int8(digit > 0.1))[0]]


def resize(digit, side):
    """Crops to the ink, then scales the longer side; float32 [H, W] to [h, w], 0 to 1."""
    digit = crop(digit)
    size = [max(1, round(side * n / max(digit.shape))) for n in digit.shape[::-1]]
    return np.clip(np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)), 0, 1)


def centre(digit):
    """Puts a digit of at most 20x20, float32 0 to 1, into uint8 [28, 28] by its centre of mass."""
    image = np.zeros((28, 28), np.uint8)
    middle = ndimage.center_of_mass(digit)
    y, x = np.clip(np.round(14 - np.array(middle)).astype(int), 0, 28 - np.array(digit.shape))
    image[y : y + digit.shape[0], x : x + digit.shape[1]] = np.round(255 * digit)
    return image
