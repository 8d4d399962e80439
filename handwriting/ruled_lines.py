"""Finds the lines of ruled and squared paper."""

import numpy as np
from scipy import ndimage

# Chosen on the validation split of MNIST, put on paper as in samples/variants.py.
LINE_WIDTH = 1 / 60  # of a ruled line at most, in longer sides of the image
LINE_LENGTH = 0.4  # of a ruled line at least, in widths of the image, gaps not counted
LINE_ANGLE = 4  # degrees that ruled lines may be askew


def find_lines(mask):
    """The lines of ruled paper, and those of squared paper, where they differ.

    Strokes of a digit may be as thin, straight and long, so this is no more than a way to see it.
    Takes bool [H, W], returns a list of bool [H, W].
    """
    level = level_lines(mask)
    rest = mask & ~level
    rest &= ~level_lines(rest.T).T
    rest &= ~level_lines(rest)  # again, because the upright lines hide the ends of the level ones
    both = mask & ~rest
    return [lines for lines in (level, both) if lines.any()][: 1 + (both != level).any()]


def level_lines(mask):
    """The lines that run from left to right; bool [H, W] to bool [H, W].

    This is a Hough transform: of each line, by its slope and its height in the middle column, it
    is counted how much is there.
    """
    width = mask.shape[1]
    thin = max(2, round(LINE_WIDTH * max(mask.shape)))
    above = width // 8 + 4  # for the ends of lines that cross the upper or lower edge
    mask = np.pad(mask, ((above, above), (0, 0)))
    narrow = mask & ~opened(mask, thin + 1)
    columns = np.arange(width)
    slopes = np.tan(np.radians(np.arange(-LINE_ANGLE, LINE_ANGLE + 0.1, 0.5)))
    rises = np.int64(np.round(slopes[:, None] * (columns - width / 2)))  # [slope, W]
    tile = max(1, width // 32)  # columns that are counted together
    near = np.float32(ndimage.maximum_filter1d(narrow, 3, 0))  # [H, W]
    tiles = ndimage.uniform_filter1d(near, tile, 1)[:, tile // 2 :: tile]
    rows = np.arange(above // 2, len(mask) - above // 2)
    tops = rows[:, None] + rises[:, None, tile // 2 :: tile]  # [slope, row, tile]
    seen = tiles[tops, np.arange(tiles.shape[1])].mean(-1)
    lines, thickness = np.zeros_like(mask), []
    for (found,) in ndimage.find_objects(ndimage.label(seen.max(0) > LINE_LENGTH)[0]):
        slope = seen[:, found].max(1).argmax()
        strip = np.arange(rows[found][0] - 1, rows[found][-1] + 2)[:, None] + rises[slope]
        line = narrow[strip, columns]
        lines[strip, columns] |= line
        thickness.extend(line.sum(0)[line.any(0)])
    if thickness:  # a stroke is thicker where a line crosses it
        lines &= ~opened(mask, round(np.median(thickness)) + 2)
    return lines[above:-above]


def opened(mask, length):
    """The upright runs of at least `length` pixels; bool [H, W] to bool [H, W]."""
    return ndimage.grey_opening(np.uint8(mask), (length, 1)) > 0
