"""Reads image files; turns a photograph of a digit into images like MNIST's."""

import collections
import logging
import warnings

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from handwriting.digits import at_edges, centre, find_digits, resize, widths
from handwriting.paper import find_inks, without_margins

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # Pillow raises its errors, too

# The constants of handwriting/ were chosen on MNIST's validation images, see samples/variants.py.
WORKING_SIZE = 320  # the longer side of a page, in pixels; a larger image is reduced
SMALL = 64  # the longer side of an image, in pixels, below which the image is enlarged

# A reading is a way to see the digit of a page. `name` is the way, in words. `image` is uint8
# [28, 28]. `share` is the ink beside the ink of the first reading of the same side, at most 1.
Reading = collections.namedtuple("Reading", ["name", "image", "share"])


def read_image(file):
    """Decodes an image: a path or a binary file object.

    Returns uint8 [H, W], or [H, W, 3] where the image has colours: the first frame, turned as its
    EXIF tag says, nothing transparent, the longer side reduced to WORKING_SIZE if it is longer.
    Raises ValueError, one line without the file's name, if `file` cannot be read, is broken, has
    more pixels than Pillow allows or fewer than 8x8.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on files that can be read
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                size = image.size
                # A JPEG decoder can skip the detail that the reduction below would drop.
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
    is_grey = pixels.ndim == 3 and (pixels == pixels[..., :1]).all()
    return pixels[..., 0] if is_grey else pixels


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
    if len(edge) and greys.std() > 30:  # paper and ink: transparent means paper
        is_light = edge.mean() > greys.mean()
        colour = tuple(np.int64(np.percentile(edge, 95 if is_light else 5, 0)))
    else:  # light ink and nothing else would vanish on white
        colour = "black" if alpha.mean() < 128 and greys.mean() > 128 else "white"
    return Image.alpha_composite(Image.new("RGBA", image.size, colour), image).convert("RGB")


def prepare_image(pixels):
    """Returns the readings of a page: a list of `Reading`, one for each way to see the page.

    Takes uint8 [H, W] or [H, W, 3]. A digit is white on black, in a 20x20 box, centred by mass
    (LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998,
    section III). An image that `is_framed` is the only reading. Raises ValueError without ink.
    """
    if is_framed(pixels):
        return [Reading(("as it is",), pixels, 1)]
    pixels = without_margins(pixels)
    if max(pixels.shape) < SMALL:
        size = [2 * SMALL * n // max(pixels.shape) for n in pixels.shape[1::-1]]
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    readings, first = {}, {}
    for way, ink in find_inks(pixels):
        if way[0] in ("darkest", "other side") and not readings:
            raise ValueError("no ink found, the page is blank")  # or has nothing but lines
        for parts, digit in find_digits(ink):
            share = min(1, digit.sum() / first.setdefault(way[0] == "other side", digit.sum()))
            for width, strokes in widths(digit):
                image = centre(resize(strokes, 20))
                readings.setdefault(image.tobytes(), Reading((*way, *parts, *width), image, share))
    return list(readings.values())


def is_framed(pixels):
    """Returns whether an image is white on black, 28x28, and framed as MNIST's images are.

    Images that are filled from edge to edge, such as Fashion-MNIST's, count as framed.
    """
    if pixels.shape != (28, 28) or pixels.max() < 128 or at_edges(pixels).mean() >= 32:
        return False
    [box] = ndimage.find_objects(np.int8(pixels > 32))
    side = max(part.stop - part.start for part in box)
    off_centre = np.abs(np.subtract(ndimage.center_of_mass(pixels), 14)).max()
    return side >= 27 or (18 <= side <= 21 and off_centre < 1.5)
