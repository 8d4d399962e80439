"""Tells ink from paper, in each of the few ways that light and colours allow."""

import numpy as np
from scipy import ndimage

from handwriting.ruled_lines import without_lines

NARROW, WIDE = 1 / 12, 1 / 4  # the widest strokes, in longer sides of the page
EDGE = 0.6  # the longest stroke along an edge of the page, in lengths of the edge
NEAR = 12  # grey levels by which a margin may vary
FAINTEST = 12  # the fewest grey levels between paper and ink
BLACK = 16  # grey levels that no camera tells from black


def without_margins(pixels):
    """Cuts off margins in one colour, such as those of a screenshot.

    Beyond a margin come other colours, up to a margin on the other side. No digit is so bold.
    Takes and returns uint8 [H, W] or [H, W, 3].
    """
    whole = pixels
    for _ in range(8):  # each side twice, and it is upright again
        colours = np.int16(pixels[:, ::8]).reshape(len(pixels), -(-pixels.shape[1] // 8), -1)
        like = (np.abs(colours - np.median(colours[0], 0)) <= NEAR).all(-1)
        end = (like.mean(1) > 0.98).argmin() + 2
        beyond = like[end : max(len(like) - end, end + len(like) // 4)]
        other = ~beyond[:1].all(0)
        if end >= 4 and other.mean() > 0.6 and beyond[:, other].mean() < 0.1:
            pixels = pixels[end:]
        pixels = np.rot90(pixels)
    return np.ascontiguousarray(pixels) if min(pixels.shape[:2]) >= 16 else whole


def find_inks(pixels):
    """Yields ways to see a page, uint8 [H, W] or [H, W, 3]: words, and the ink, float32 [H, W]."""
    page = dark_on_light(pixels)
    grey = dark_on_light(pixels.mean(-1)) if pixels.ndim == 3 else page
    inks = {
        ("wide",): without_lines(find_ink(page, fill_up(page, WIDE))),
        ("one grey",): without_lines(find_ink(page, page.max())),
        ("narrow",): without_lines(find_ink(page, fill_up(page, NARROW))),
        ("darkest",): find_ink(grey, fill_up(grey, NARROW), darkest=True),
        ("other side", "wide"): find_ink(255 - page, fill_up(255 - page, WIDE)),
        ("other side", "one grey"): find_ink(255 - page, 255 - page.min()),
    }
    flat = ("on flat paper",) if is_flat(page) else ()
    for way, ink in inks.items():
        yield way if "one grey" in way else (*way, *flat), ink


def dark_on_light(pixels):
    """Returns the grey in which ink and paper differ most, float32 [H, W], 0 to 255.

    Ink is dark, if the median is paper. Takes numbers [H, W] or [H, W, 3].
    """
    colours = np.float32(pixels).reshape(*pixels.shape[:2], -1)
    near = max(pixels.shape) // 8 + 1
    detail = ndimage.uniform_filter(colours, (near, near, 0)) - colours
    flat = detail.reshape(-1, detail.shape[-1])
    direction = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    direction /= np.abs(direction).sum()
    grey = colours @ direction - 255 * np.minimum(direction, 0).sum()
    # One side of a stroke's edge is ink. The other side is paper, like most of the page around.
    strokes = (detail @ direction) ** 2
    paper = np.median(grey) if is_flat(grey) else ndimage.uniform_filter(grey, 4 * near)
    return grey if ((paper - grey) * strokes).sum() >= 0 else 255 - grey


def is_flat(grey):
    """Returns whether a tenth of the page has one and the same grey, like most drawings."""
    return paper_level(grey)[1] < 0.01


def fill_up(grey, widest):
    """Fills dark areas that are narrower than `widest` longer sides; float32 [H, W] to the same."""
    page = ndimage.gaussian_filter(grey, 1)
    for part in (page[0], page[-1], page[:, 0], page[:, -1], page):  # a stroke may lie on an edge
        size = max(3, round(EDGE * len(part) if part.ndim == 1 else widest * max(part.shape)))
        margin = size // 2 + 1  # the page goes on beyond its edges, so a dark border is paper
        padded = np.pad(part, margin, "edge")
        inner = (slice(margin, -margin),) * part.ndim
        part[:] = ndimage.grey_closing(padded, [size] * part.ndim)[inner]
    return page


def find_ink(grey, paper, darkest=False):
    """Returns the share of the paper's light that ink takes; float32 [H, W], 0 to 1.

    Takes a page, dark on light, and its paper, float32 [H, W]. `darkest` leaves out a lighter pen.
    """
    depth = (paper - grey) / (paper + BLACK)
    level, noise = paper_level(depth)
    # Most of an overexposed page has one grey, but neighbours differ by the grain.
    bends = [np.abs(ndimage.correlate1d(view[::4], [1, -2, 1])) for view in (depth, depth.T)]
    noise = max(noise, min(np.percentile(bend, 75) for bend in bends) / 2)
    depth -= level
    strong = depth[(depth > 5 * noise) & (depth * (paper + BLACK) > FAINTEST)]
    if strong.size < 8:
        return np.zeros_like(grey)
    full = np.percentile(strong, 95 if darkest else 80)
    none = 0.5 if darkest else np.clip(4 * noise / full, 0.2, 0.6)
    # Ink is black before it is full, as in MNIST.
    return np.clip((depth / full - none) / max(0.8 - none, 0.3), 0, 1)


def paper_level(depth):
    """Returns the depth of most of the paper, and about the standard deviation of its grain.

    The shortest interval with a tenth of all pixels gives both: its middle and four widths.
    """
    depth = np.sort(depth[::2, ::2], None)
    tenth = max(1, len(depth) // 10)
    widths = depth[tenth:] - depth[:-tenth]
    first = widths[: max(1, len(widths) // 2)].argmin()
    return depth[first + tenth // 2], 4 * widths.min()
