"""Finds the lines of ruled and squared paper."""

import numpy as np
from scipy import ndimage

LINE_WIDTH = 1 / 60  # of a ruled line at most, in longer sides of the image
LINE_LENGTH = 0.4  # of a ruled line at least, in widths of the image, gaps not counted
LINE_ANGLE = 4  # degrees that ruled lines may be askew


def without_lines(ink):
    """Takes the lines of ruled and squared paper out of the ink; float32 [H, W], 0 to 1."""
    mask = ink > 0.25
    rest = mask.copy()
    for view in (rest, rest.T):
        view &= ~level_lines(view)
    if (rest != mask).any():  # again, because upright lines hide the ends of level lines
        rest &= ~level_lines(rest)
    return np.where(rest == mask, ink, 0)


def level_lines(mask):
    """The lines of ruled paper that run from left to right; bool [H, W] to bool [H, W].

    Strokes may be as thin, straight and long. But most strokes meet another at an end, and no digit
    has more than three of one direction. A line alone has to reach both edges, beside other ink.
    """
    width = mask.shape[1]
    thin = max(2, round(LINE_WIDTH * max(mask.shape)))
    above = width // 8 + 2 * thin + 4  # for the ends of lines that cross the upper or lower edge
    mask = np.pad(mask, ((above, above), (0, 0)))
    narrow = mask & ~opened(mask, thin + 1)
    lines, thickness, whole, n, n_free = np.zeros_like(mask), [], True, 0, 0
    for rows, columns in straight_runs(narrow, above):
        line = narrow[rows, columns]
        lines[rows, columns] |= line
        seen = np.flatnonzero(line.any(0))
        thickness.extend(line.sum(0)[seen])
        whole &= seen[0] <= 0.02 * width and seen[-1] >= 0.98 * width - 1
        # Is there other ink near an end?
        beside = np.arange(1, thin + 1)[:, None]
        others = (mask[rows[0] - beside, columns] | mask[rows[-1] + beside, columns]).any(0)
        reach = max(3, round(0.05 * width))
        n += 1
        n_free += not any(others[max(0, end - reach) : end + reach].any() for end in seen[[0, -1]])
    if n:  # a stroke is thicker where a line crosses it
        lines &= ~opened(mask, round(np.median(thickness)) + 2)
    beside_others = whole and (mask & ~lines).sum() >= 0.2 * lines.sum()
    if n <= 3 and not (n_free > n / 2 and (n > 1 or beside_others)):
        return np.zeros_like(mask[above:-above])
    # Lines that leave the page above or below may be too short to be seen.
    leaving = narrow & np.isin(np.arange(len(mask)), [above, len(mask) - above - 1])[:, None]
    lines |= ndimage.binary_propagation(leaving, np.ones((3, 3)), narrow)
    return lines[above:-above]


def straight_runs(narrow, above):
    """Yields the rows [n, W] and columns [W] of each long straight line, by a Hough transform."""
    height, width = narrow.shape
    columns = np.arange(width)
    slopes = np.tan(np.radians(np.arange(-LINE_ANGLE, LINE_ANGLE + 0.1, 0.5)))
    rises = np.int64(np.round(slopes[:, None] * (columns - width / 2)))  # [slope, W]
    tile = max(1, width // 32)  # columns that are counted together
    near = np.float32(ndimage.maximum_filter1d(narrow, 3, 0))  # [H, W]
    tiles = ndimage.uniform_filter1d(near, tile, 1)[:, tile // 2 :: tile]
    rows = np.arange(above // 2, height - above // 2)
    tops = rows[:, None] + rises[:, None, tile // 2 :: tile]  # [slope, row, tile]
    seen = tiles[tops, np.arange(tiles.shape[1])].mean(-1)
    for (lines,) in ndimage.find_objects(ndimage.label(seen.max(0) > LINE_LENGTH)[0]):
        slope = seen[:, lines].max(1).argmax()
        strip = np.arange(rows[lines][0] - 1, rows[lines][-1] + 2)
        yield strip[:, None] + rises[slope], columns


def opened(mask, length):
    """The upright runs of at least `length` pixels; bool [H, W] to bool [H, W]."""
    return ndimage.grey_opening(np.uint8(mask), (length, 1)) > 0
