"""Finds the digit among the ink of a page; scales and centres the digit as MNIST does."""

import numpy as np
from PIL import Image
from scipy import ndimage

LEAST = 20  # pixels of ink; less ink is no digit
SHORTEST = 1 / 25  # the shortest digit, in longer sides of the page
THIN = 6  # width of strokes that are widened, in 80ths of the digit's longer side
HAIR = 1.5  # the same of strokes that are too thin to be read unchanged
WIDTHS = 11, 7  # widths that thin strokes are widened to, in the same


def at_edges(image):
    """The values along the four edges of [H, W], those in the corners twice."""
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def find_digits(ink):
    """Yields each part of the ink that may be the digit, in words and as float32 [h, w].

    The digit may be all ink, the ink that touches no edge of the page, or the ink inside of the
    largest part, such as a box on a form. Ink around other ink, or along most of the page's edges,
    may be paper. Takes float32 [H, W], 0 to 1.
    """
    parts, n = ndimage.label(ndimage.maximum_filter(ink > 0.25, 3))
    mass = np.append(0, ndimage.sum_labels(ink, parts, np.arange(1, n + 1)))
    inside = mass.copy()
    inside[at_edges(parts)] = 0
    sizes = [parts[box].size for box in ndimage.find_objects(parts)]
    rest, _ = ndimage.label(parts != np.argmax([0, *sizes]))
    holes = ~np.isin(rest, [0, *at_edges(rest)])
    boxed = np.where(np.isin(np.arange(n + 1), parts[holes]), mass, 0)
    ways = {}
    around = ("around",) if boxed.max() >= LEAST or (at_edges(ink) > 0.25).mean() > 0.5 else ()
    for words, taken in (around, mass), (("inside",), inside), (("boxed",), boxed):
        chosen = (taken >= 0.1 * taken.max()) & (taken >= LEAST)
        ways.setdefault(chosen.tobytes(), (words, chosen[parts]))
    for words, chosen in ways.values():
        for box in ndimage.find_objects(np.int8(chosen)):  # one, or none without ink
            if max(chosen[box].shape) >= SHORTEST * max(ink.shape):
                yield words, np.where(chosen[box], ink[box], 0)


def widths(digit):
    """Yields a digit unchanged and, if its strokes are thin, with strokes of two usual widths.

    Takes float32 [H, W], 0 to 1; yields words and float32 [h, w], 0 to 1.
    """
    digit = crop(digit)
    # A stroke of width w has w of area and 2 of edge for each 1 of length.
    across, along = np.diff(padded := np.pad(digit, 1))[1:], np.diff(padded, axis=0)[:, 1:]
    scale = max(digit.shape) / 80
    width = 2 * digit.sum() / max(np.hypot(across, along).sum(), 1e-9) / scale
    if width >= HAIR:
        yield (), digit
    if width < THIN:
        # A smaller image would lose lines that are so thin.
        small = resize(ndimage.maximum_filter(digit, int(np.ceil(scale))), 80)
        distance = ndimage.distance_transform_edt(np.pad(small, max(WIDTHS)) < small.max() / 2)
        for usual in WIDTHS:
            wider = np.clip((usual - width) / 2 + 1 - distance, 0, 1)
            yield ("widened", f"to {usual}"), np.float32(wider)


def crop(digit):
    """Crops to the ink; float32 [H, W] to float32 [h, w]."""
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
