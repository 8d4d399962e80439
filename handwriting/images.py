"""The images that predict.py reads: from a photograph of a digit to an image as MNIST has it."""

import logging
import warnings

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from scipy import ndimage

from handwriting.frames import at_corners, at_edges, find_boxes, find_sheet, is_inside_out
from handwriting.ruled_lines import level_lines

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what is wrong, it raises as well

WORKING_SIZE = 512  # longer side, in pixels, of the image the ink is looked for in
# Chosen on the validation split of MNIST, put on paper as in samples/variants.py.
SMALL = 64  # longer side, in pixels, of an image that is as good as all edges
FAINTEST = 24  # grey levels between paper and ink, at least
FLAT = 0.1  # of an image, in one grey: it is drawn, or as white as its sensor or file goes
GRAINY = 0.25  # of the other pixels, that differ from their surroundings
WIDEST = 0.3  # strokes, in longer sides of the image: what is wider may be a shadow or a border
BOLDEST = 0.7  # strokes, in the same, where nothing is a shadow or a border
LIGHTER = 0.55  # weight of what is lighter than the paper seems: it may be half full of ink
THIN, USUAL = 6, 11  # widths of strokes, in 80ths of the digit's longer side
COUNTER = 6  # width, in the same, of a gap between strokes that is kept open


def read_image(file):
    """Decodes an image: a path or a binary file object.

    Returns uint8 [H, W], or [H, W, 3] where the image has colours: the first frame, turned as its
    EXIF tag says, nothing transparent, the longer side reduced to WORKING_SIZE if it is longer.
    Raises ValueError, one line without the file's name, if `file` cannot be read, is broken, has
    more pixels than Pillow allows or fewer than 8x8.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a decoder's remarks on what it can read all the same
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                size = image.size
                # A JPEG decoder can leave out what the reduction below would throw away.
                image.draft(None, (WORKING_SIZE, WORKING_SIZE))
                ImageOps.exif_transpose(image, in_place=True)
                pixels = np.asarray(flatten(image))
    except Image.UnidentifiedImageError:
        raise ValueError("not an image: empty, or of a format Pillow does not know") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS
        raise ValueError(f"a decompression bomb: more than {limit:,} pixels") from None
    except Exception as error:  # each decoder has errors of its own
        reason = str(error) or type(error).__name__
        raise ValueError(getattr(error, "strerror", None) or f"broken image: {reason}") from None
    if min(size) < 8:
        raise ValueError("{}x{} pixels are too few, a digit needs 8x8".format(*size))
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    return pixels


def flatten(image):
    """Reduces a Pillow image of any mode to mode L or RGB and to WORKING_SIZE."""
    if image.mode[0] in "IF":  # more than 8 bits a pixel, of which many cameras use a few
        values = np.nan_to_num(np.asarray(image, np.float32))
        few = 4 + values.size // 10000
        low, high = np.partition(values, [few, -few - 1], None)[[few, -few - 1]]
        if 0 < high - low < np.ptp(values) / 2:  # the few are dead or hot pixels
            values = np.clip(values, low, high)
        values = (values - values.min()) * (255 / max(np.ptp(values), 1e-37))
        image = Image.fromarray(np.uint8(np.round(values)))
    transparent = image.has_transparency_data
    image = image.convert("RGBA" if transparent else "L" if image.mode in "1L" else "RGB")
    image.thumbnail((WORKING_SIZE, WORKING_SIZE))
    if not transparent:
        return image
    alpha = np.asarray(image.getchannel("A"))
    visible = alpha > 0
    edge = np.asarray(image)[visible & ndimage.binary_dilation(~visible), :3]
    greys = np.asarray(image.convert("L"))[visible]
    if len(edge) and greys.std() > 30:  # paper and ink: what is not visible was, or is like, paper
        is_light = edge.mean() > greys.mean()
        colour = tuple(np.int64(np.percentile(edge, 95 if is_light else 5, 0)))
    else:  # light ink and nothing else would vanish on white
        colour = "black" if alpha.mean() < 128 and greys.mean() > 128 else "white"
    return Image.alpha_composite(Image.new("RGBA", image.size, colour), image).convert("RGB")


def prepare_image(pixels):
    """The digit of an image as MNIST has it: white on black, in a 20x20 box, centred by mass.

    Takes uint8 [H, W] or [H, W, 3], returns uint8 [28, 28]. The method is that of the authors of
    MNIST (LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition,
    1998, section III). What is framed so already (see `is_framed`) comes back as it is.
    Raises ValueError if there is no ink.
    """
    if is_framed(pixels):
        return pixels
    if max(pixels.shape) < SMALL:
        size = [2 * SMALL * n // max(pixels.shape) for n in pixels.shape[1::-1]]
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    ink = find_ink(pixels)
    sheet = find_sheet(ink)
    if sheet:
        ink = find_ink(pixels[sheet])
    return centre(resize(widen(find_digit(ink)), 20))


def is_framed(pixels):
    """Whether an image is white on black, 28x28, and in its frame as MNIST's are.

    So is one that is filled from edge to edge, as other data of MNIST's format are.
    """
    if pixels.shape != (28, 28) or pixels.max() < 128:
        return False
    if at_edges(pixels).mean() >= 32:
        return False
    [box] = ndimage.find_objects(np.int8(pixels > 32))
    side = max(part.stop - part.start for part in box)
    off_centre = np.abs(np.subtract(ndimage.center_of_mass(pixels), 14)).max()
    return side >= 27 or (18 <= side <= 21 and off_centre < 1.5)


def find_ink(pixels):
    """How much ink is where, whatever the colours of pen and paper and the light on them.

    Takes uint8 [H, W] or [H, W, 3], returns float32 [H, W], 0 (paper) to 1 (ink).
    Raises ValueError if nothing stands out from the paper.
    """
    grey = dark_on_light(pixels)
    depth = (grey.max() if is_drawn(grey) else find_paper(grey)) - grey
    paper, noise = paper_level(depth)
    depth -= paper
    faintest = max(FAINTEST, 5 * noise)
    if is_inside_out(depth, faintest):
        depth = -depth
    strong = depth[depth > faintest]
    if not strong.size:
        raise ValueError("no ink found, the page is blank")
    full = np.percentile(strong, 80)
    none = max(0.2, 4 * noise / full)  # ink is black before it is full, as in MNIST
    return np.clip((depth / full - none) / 0.6, 0, 1)


def paper_level(depth):
    """The grey that most of the paper has, and about the standard deviation of its grain.

    Of the shortest interval that holds a tenth of all pixels the middle and four times the width.
    """
    depth = np.sort(depth[::2, ::2], None)
    depth = depth[depth > -FAINTEST]  # where a lighter part ends the paper is taken for darker
    tenth = max(1, len(depth) // 10)
    widths = depth[tenth:] - depth[:-tenth]
    first = widths[: len(widths) // 2].argmin()  # of the lighter half: a border may be more even
    return depth[first + tenth // 2], 4 * widths.min()


def dark_on_light(pixels):
    """Grey in which ink and paper differ most; uint8 [H, W] or [H, W, 3] to float32 [H, W]."""
    near = ImageFilter.BoxBlur(max(pixels.shape) / 16)
    surroundings = np.asarray(Image.fromarray(pixels).filter(near), np.float32)
    detail = (surroundings - pixels).reshape(pixels.shape[0] * pixels.shape[1], -1)
    direction = np.linalg.eigh(detail.T @ detail)[1][:, -1]
    grey = pixels.reshape(*pixels.shape[:2], -1) @ direction
    # At the edges of strokes one side is paper, as most of the image is, and the other is ink.
    strokes = (detail @ direction) ** 2
    return grey * np.sign(strokes @ (np.median(grey) - grey.ravel()))


def is_drawn(grey):
    """Whether it is no photograph: of all greys but the darkest only one is all over; no grain."""
    depth = grey.max() - grey
    shares = np.bincount(np.int64(depth).ravel()) / depth.size
    if shares[0] < FLAT or shares[1 : 3 * len(shares) // 4].max(initial=0) > FLAT:
        return False
    grain = np.abs(ndimage.median_filter(grey, 3) - grey) > 1
    rest = depth >= 1
    return (grain & rest).sum() <= GRAINY * rest.sum()


def find_paper(grey):
    """The paper under dark ink: whatever is narrow and dark filled up (a morphological closing).

    What is wide is filled up, too, if it is about as dark as ink and covers no corner, as borders
    and shadows do: it is the stroke of a digit in a tight crop. Takes and returns float32 [H, W].
    """
    scale = min(1, 64 / max(grey.shape))
    size = [max(1, round(scale * side)) for side in grey.shape[::-1]]
    coarse = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    paper, filled = closed(coarse, WIDEST), closed(coarse, BOLDEST)
    depth = filled - coarse
    wide, n = ndimage.label(filled - paper > depth.max() / 5)
    is_ink = np.append(False, ndimage.mean(depth, wide, np.arange(1, n + 1)) > depth.max() / 2)
    is_ink[at_corners(wide)] = False
    paper = np.where(is_ink[wide], filled, paper)
    paper = Image.fromarray(paper).resize(grey.shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(paper)


def closed(grey, widest):
    """Fills up what is dark and narrower than `widest` longer sides; float32 [H, W] to the same."""
    widest = round(widest * max(grey.shape))
    padded = plane(grey, widest)
    padded[widest:-widest, widest:-widest] = grey
    # A little more than what was filled goes: no false ink where a shadow or a border ends.
    padded = ndimage.minimum_filter(ndimage.maximum_filter(padded, widest), widest + 8)
    return padded[widest:-widest, widest:-widest]


def plane(grey, margin):
    """The plane nearest to most of an image (least absolute differences), the lighter part first.

    Takes float32 [H, W], returns float32 [H + 2 * margin, W + 2 * margin], the image's surroundings
    included, so that ink at its edge has paper on all sides.
    """
    y, x = np.indices([side + 2 * margin for side in grey.shape]) / max(grey.shape)
    terms = np.stack([np.ones_like(x), x, y], -1)
    known = terms[margin:-margin, margin:-margin].reshape(-1, 3)
    weights = np.ones(grey.size)
    for _ in range(10):
        weighted = known.T * weights
        fit = np.linalg.lstsq(weighted @ known, weighted @ grey.ravel(), rcond=None)[0]
        above = grey.ravel() - known @ fit
        weights = np.where(above > 0, LIGHTER, 1 - LIGHTER) / (1 + np.abs(above))
    return np.float32(terms @ fit)


def find_digit(ink):
    """Keeps the ink of the digit: no ruled lines, no border, no specks.

    Takes and returns float32 [H, W], 0 to 1. Raises ValueError if there is nothing but lines.
    """
    mask = ink > 0.25
    for view in (mask, mask.T, mask):  # again, as the upright ones hide the ends of the level ones
        view &= ~level_lines(view)
    if not mask.any():
        raise ValueError("no ink found, the page is blank but for its lines")
    parts, _ = ndimage.label(ndimage.binary_dilation(mask, np.ones((3, 3))))
    mass = np.bincount(parts.ravel(), ink.ravel())
    mass[0] = 0
    mass[find_boxes(parts, ink)] = 0
    # What covers a corner is a border or a shadow, if there is anything else.
    others = mass.copy()
    others[at_corners(parts)] = 0
    if others.max() >= 20:
        mass = others
    # So is what runs off the page, unless all else is but a speck beside it.
    inner = mass.copy()
    inner[at_edges(parts)] = 0
    if inner.max() >= 0.2 * mass.max():
        mass = inner
    return np.where((mass >= 0.1 * mass.max())[parts], ink, 0)


def widen(digit):
    """Widens thin strokes to the width usual in MNIST, as far as the gaps between them stay open.

    Takes and returns float32 [H, W], 0 to 1.
    """
    # A stroke of width w has w of area and 2 of edge for each 1 of length.
    across, along = np.diff(digit, axis=1)[1:], np.diff(digit, axis=0)[:, 1:]
    width = 2 * digit.sum() / max(np.hypot(across, along).sum(), 1e-9)
    digit = crop(digit)
    scale = max(digit.shape) / 80
    if width / scale >= THIN:
        return digit
    # Of lines this thin a smaller image would keep too little.
    small = resize(ndimage.maximum_filter(digit, int(np.ceil(scale))), 80)
    distance = ndimage.distance_transform_edt(np.pad(small, USUAL) < small.max() / 2)
    growth = (USUAL - width / scale) / 2
    gap = ndimage.maximum_filter(distance, 2 * round(growth) + 3)
    growth = np.maximum(0, np.minimum(growth, gap - COUNTER / 2))
    return np.float32(np.clip(growth + 1 - distance, 0, 1))


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
