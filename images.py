"""The images that predict.py reads: from a photograph of a digit to an image as MNIST has it."""

import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

WORKING_SIZE = 512  # longer side, in pixels, of the image the ink is looked for in


def read_image(file):
    """Decodes an image: a path or a binary file object.

    Returns uint8 [H, W], or [H, W, 3] where the image has colours: the first frame, turned as its
    EXIF tag says, nothing transparent, the longer side reduced to WORKING_SIZE if it is longer.
    Raises ValueError, one line without the file's name, if `file` cannot be read, is broken, has
    more pixels than Pillow allows or fewer than 8x8.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file)
        with image:
            if min(image.size) < 8:
                raise ValueError("{}x{} pixels are too few, a digit needs 8x8".format(*image.size))
            # A JPEG decoder can leave out what the reduction below would throw away.
            image.draft(None, (WORKING_SIZE, WORKING_SIZE))
            ImageOps.exif_transpose(image, in_place=True)
            image = flatten(image)
    except Image.UnidentifiedImageError:
        raise ValueError("not an image: empty, or of a format Pillow does not know") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = Image.MAX_IMAGE_PIXELS
        raise ValueError(f"a decompression bomb: more than {limit:,} pixels") from None
    except OSError as error:
        raise ValueError(error.strerror or f"broken image: {error}") from None
    except (EOFError, IndexError, SyntaxError, struct.error, zlib.error) as error:
        raise ValueError(f"broken image: {error}") from None
    pixels = np.asarray(image)
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        return pixels[..., 0]
    return pixels


def flatten(image):
    """Reduces a Pillow image of any mode to mode L or RGB and to WORKING_SIZE."""
    if image.mode.startswith("I"):  # 16 bits, which convert() would clip
        image = Image.fromarray(np.uint8(np.clip(np.asarray(image) // 257, 0, 255)))
    transparent = image.has_transparency_data
    image = image.convert("RGBA" if transparent else "L" if image.mode in "1LF" else "RGB")
    image.thumbnail((WORKING_SIZE, WORKING_SIZE))
    if not transparent:
        return image
    alpha = np.asarray(image.getchannel("A"))
    # Light ink and nothing else would vanish on white.
    light = alpha.mean() < 128 and np.asarray(image.convert("L"))[alpha > 0].mean() > 128
    below = Image.new("RGBA", image.size, "black" if light else "white")
    return Image.alpha_composite(below, image).convert("RGB")


def prepare_image(pixels):
    """The digit of an image as MNIST has it: white on black, in a 20x20 box, centred by mass.

    Takes uint8 [H, W] or [H, W, 3], returns uint8 [28, 28]. The method is that of the authors of
    MNIST (LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition,
    1998, section III). What is white on black and 28x28 already comes back as it is.
    Raises ValueError if there is no ink.
    """
    if pixels.shape == (28, 28) and pixels.max() >= 128:
        edge = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
        if np.mean(edge) < 32:
            return pixels
    if max(pixels.shape) < 64:  # as good as all edges, which ink() would take for noise
        size = [n * 128 // max(pixels.shape) for n in pixels.shape[1::-1]]
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    return centre(resize(thicken(digit_of(ink(pixels))), 20))


def ink(pixels):
    """How much ink is where, whatever the colours of pen and paper and the light on them.

    Takes uint8 [H, W] or [H, W, 3], returns float32 [H, W], 0 (paper) to 1 (ink).
    Raises ValueError if nothing stands out from the paper.
    """
    grey = dark_on_light(pixels)
    ink = paper(grey) - grey
    noise = np.median(np.abs(np.diff(grey)))  # of neighbours: about the standard deviation
    strong = ink[ink > max(24, 5 * noise)]
    if not strong.size:
        raise ValueError("no ink found, the page is blank")
    full = (strong**2).sum() / strong.sum()
    none = max(0.2, 4 * noise / full)
    return np.clip((ink / full - none) / 0.6, 0, 1)


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


def paper(grey):
    """The paper under dark ink: whatever is narrow and dark filled up (a morphological closing).

    Takes and returns float32 [H, W].
    """
    scale = min(1, 64 / max(grey.shape))
    size = [max(1, round(scale * side)) for side in grey.shape[::-1]]
    coarse = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    widest = 19  # strokes, in the pixels of `coarse`
    padded = Image.fromarray(light(coarse, widest))
    padded.paste(Image.fromarray(coarse), (widest, widest))
    # A little more than what was filled goes: no false ink where a shadow or a border ends.
    closed = padded.filter(ImageFilter.MaxFilter(widest)).filter(ImageFilter.MinFilter(widest + 4))
    inside = closed.crop((widest, widest, widest + size[0], widest + size[1]))
    return np.asarray(inside.resize(grey.shape[::-1], Image.Resampling.BILINEAR))


def light(grey, margin):
    """The plane nearest to most of an image (least absolute differences).

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
        weights = 1 / (1 + np.abs(known @ fit - grey.ravel()))
    return np.float32(terms @ fit)


def digit_of(ink):
    """Keeps the ink of the digit: no ruled lines, no border, no specks.

    Takes and returns float32 [H, W], 0 to 1.
    """
    mask = ink > 0.25
    lines = ruled_lines(mask)
    if lines.sum() < mask.sum():  # a bare stroke is a digit, not a line
        mask &= ~lines
    parts = label(mask)
    mass = np.bincount(parts.ravel(), ink.ravel())
    mass[0] = 0
    # What covers a corner is a border or a shadow, if there is anything else.
    others = mass.copy()
    others[parts[[0, 0, -1, -1], [0, -1, 0, -1]]] = 0
    if others.max() >= 20:
        mass = others
    # So is what runs off the page, unless all else is but a speck beside it.
    inner = mass.copy()
    inner[np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])] = 0
    if inner.max() >= 0.2 * mass.max():
        mass = inner
    wanted = mass >= 0.1 * mass.max()
    wanted[0] = False
    return np.where(wanted[parts], ink, 0)


def ruled_lines(mask):
    """What is long in one direction and thin in the other; bool [H, W] to bool [H, W]."""
    thin = max(2, round(max(mask.shape) / 60))
    lines = np.zeros_like(mask)
    for axis in (0, 1):
        long = round(0.6 * mask.shape[axis])
        lines |= opened(mask, long, axis) & ~opened(mask, thin + 1, 1 - axis)
    return lines


def opened(mask, length, axis):
    """The runs of at least `length` pixels along the axis; bool [H, W] to bool [H, W]."""

    def ends(mask):  # how many of the last `length` pixels are set
        total = np.cumsum(np.pad(mask, ((0, 0), (length, length - 1))), 1)
        return total[:, length:] - total[:, :-length]

    whole = ends(np.moveaxis(mask, axis, 1)) == length
    kept = ends(whole)[:, length - 1 : whole.shape[1]] > 0
    return np.moveaxis(kept, 1, axis)


def label(mask):
    """Numbers the connected parts, one pixel wider each; bool [H, W] to int32 [H, W], 0 outside."""
    wide = np.asarray(Image.fromarray(np.uint8(mask)).filter(ImageFilter.MaxFilter(3)), np.int32)
    parts = Image.fromarray(-wide)
    number = 0
    for y, x in np.argwhere(mask):
        if parts.getpixel((int(x), int(y))) < 0:
            number += 1
            ImageDraw.floodfill(parts, (int(x), int(y)), number)
    return np.maximum(np.asarray(parts), 0)


def thicken(digit):
    """Widens thin strokes to the width usual in MNIST; float32 [H, W] to float32 [H, W], 0 to 1."""
    digit = np.pad(resize(digit, 80), 8)
    # A stroke of width w has w of area and 2 of edge for each 1 of length.
    across, along = np.diff(digit, axis=1)[1:], np.diff(digit, axis=0)[:, 1:]
    width = 2 * digit.sum() / np.hypot(across, along).sum()
    if width < 6:  # to where as much is ink as in MNIST on average
        size = 1 + 2 * round((11 - width) / 2)
        digit = np.asarray(Image.fromarray(digit).filter(ImageFilter.MaxFilter(size)))
    return digit


def resize(digit, side):
    """Crops to the ink, then scales the longer side; float32 [H, W] to [h, w], 0 to 1."""
    rows, columns = (np.flatnonzero((digit > 0.1).any(axis)) for axis in (1, 0))
    digit = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = digit.shape
    size = [max(1, round(side * n / max(height, width))) for n in (width, height)]
    return np.clip(np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC)), 0, 1)


def centre(digit):
    """Puts a digit of at most 20x20, float32 0 to 1, into uint8 [28, 28] by its centre of mass."""
    image = np.zeros((28, 28), np.uint8)
    corner = []
    for axis, side in enumerate(digit.shape):
        weights = digit.sum(1 - axis)
        middle = (weights * np.arange(side)).sum() / weights.sum()
        corner.append(min(max(round(14 - middle), 0), 28 - side))
    (y, x), (height, width) = corner, digit.shape
    image[y : y + height, x : x + width] = np.round(255 * digit)
    return image
