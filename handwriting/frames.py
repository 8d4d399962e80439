"""Finds what frames a digit and is no ink of it: its sheet on a table, its box on a form."""

import numpy as np
from scipy import ndimage


def at_corners(image):
    """The four values in the corners of [H, W]."""
    return image[[0, 0, -1, -1], [0, -1, 0, -1]]


def at_edges(image):
    """The values along the four edges of [H, W], those in the corners twice."""
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def is_inside_out(depth, faintest):
    """Whether the page was taken for what lies around it: a table, or margins in another grey.

    Takes how far each pixel stands out from the paper, float32 [H, W], and how far ink does at
    least: either nothing does and most of the image the other way, or what lies in the corners and
    nothing but that and what runs off the image.
    """
    if depth.max() <= faintest:
        return np.median(depth) < -faintest
    parts, _ = ndimage.label(depth > faintest)
    mass = np.bincount(parts.ravel())
    mass[at_edges(parts)] = 0
    return at_corners(parts).all() and mass[1:].max(initial=0) < 20


def find_sheet(ink):
    """Finds a sheet of paper that stands out from a table as ink does from paper.

    It is nearly a rectangle, whole but for the strokes of a digit. Takes float32 [H, W], 0 to 1;
    returns the slices of its rows and columns, or None.
    """
    parts, _ = ndimage.label(ink > 0.5)
    area = np.bincount(parts.ravel())
    area[0] = 0
    number = area.argmax()
    if area[number] < 0.05 * ink.size:
        return None
    box = ndimage.find_objects(parts)[number - 1]
    whole = ndimage.binary_fill_holes(parts[box] == number)
    if not 0.01 < 1 - area[number] / whole.sum() < 0.25:
        return None
    y, x = np.nonzero(whole & ~ndimage.binary_erosion(whole))
    angle = np.radians(np.arange(0, 90, 5))[:, None]
    across, down = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    rectangle = (np.ptp(across, 1) * np.ptp(down, 1)).min()
    return box if whole.sum() > 0.88 * rectangle else None


def find_boxes(parts, ink):
    """The numbers of the parts that are a box drawn around other ink.

    Takes int [H, W], 0 where no part is, and float32 [H, W], 0 to 1. A box has ink along all of its
    four sides.
    """
    found = []
    for number, slices in enumerate(ndimage.find_objects(parts), 1):
        height, width = (part.stop - part.start for part in slices)
        if min(height, width) < 20:
            continue
        box = parts[slices] == number
        edge = max(height, width) // 16 + 1
        sides = box[:edge], box[-edge:], box[:, :edge].T, box[:, -edge:].T
        if all(side.any(0).mean() > 0.95 for side in sides) and ink[slices][~box].sum() >= 20:
            found.append(number)
    return found
