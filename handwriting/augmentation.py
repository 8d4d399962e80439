"""Distorts the training images, so that they look like the digits of another hand.

Simard, Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual
document analysis" (2003): affine and elastic distortions, in one displacement of the pixels.
"""

import math

import numpy as np
import tensorflow as tf

from contrib.learn.datasets.mnist import IMAGE_SIZE as SIZE

# The largest distortion of each kind. An image gets a uniform amount between this value and its
# negative. The values were chosen on the validation images and on the digits of scikit-learn.
TURN = 0.15  # radians
SLANT = 0.2  # of the height
SCALE = 0.15  # of the width and of the height, each
SHIFT = 1  # pixels
BEND = 1  # pixels, at each point of the elastic grid
STROKE = 2  # of the grey of an edge; 2 makes full ink or paper of half ink

GRID = 5  # points a side of the elastic grid, 7 pixels apart
# SHARED images share one displacement, because the source of a pixel takes longer to compute than
# the pixel takes to fetch. Each epoch groups the images anew.
SHARED = 8


def _fields():
    """The largest displacements (y, x) of each kind; a distortion is a weighted sum of them.

    Returns float32 [N, 2 * 28 * 28].
    """
    y, x = np.indices([SIZE, SIZE]) - (SIZE - 1) / 2
    zero, one = np.zeros_like(x), np.ones_like(x)
    fields = [
        (TURN * x, -TURN * y),
        (zero, SLANT * y),
        (SCALE * y, zero),
        (zero, SCALE * x),
        (SHIFT * one, zero),
        (zero, SHIFT * one),
    ]
    points = np.linspace(-SIZE / 2, SIZE / 2, GRID)
    width = points[1] - points[0]
    for point_y in points:
        for point_x in points:
            near = np.exp(-((y - point_y) ** 2 + (x - point_x) ** 2) / width**2)
            fields += [(BEND * near, zero), (zero, BEND * near)]
    return np.float32(fields).reshape(len(fields), -1)


def augment(images, seed):
    """Turns, slants, scales, shifts and bends images, and makes their strokes thicker or thinner.

    Takes and returns uint8 [B, 28, 28], 0 is black; B is static. The distortions depend on `seed`,
    int64 [2], only.
    """
    batch_size = images.shape[0]
    shared = math.gcd(batch_size, SHARED)
    n = batch_size // shared
    fields = _fields()
    amounts = tf.random.stateless_uniform([n, len(fields) + shared], seed, -1, 1)
    own_places = np.indices([SIZE, SIZE], np.float32).reshape(1, -1)
    sources = own_places + amounts[:, : len(fields)] @ fields  # [n, 2 * 28 * 28]
    sources = tf.reshape(sources, [n, 2, SIZE * SIZE])
    # The pixels of the images that share a displacement lie together.
    pixels = tf.transpose(tf.reshape(images, [n, shared, SIZE * SIZE]), [0, 2, 1])
    pixels = _resample(tf.reshape(pixels, [n * SIZE * SIZE, shared]), sources)
    # The edges of strokes are grey. Lighter grey moves the edges out, darker grey moves them in.
    stroke = STROKE * amounts[:, tf.newaxis, len(fields) :]  # [n, 1, shared]
    pixels = tf.saturate_cast(pixels + stroke * pixels * (1 - pixels / 255), tf.uint8)
    return tf.reshape(tf.transpose(pixels, [0, 2, 1]), [batch_size, SIZE, SIZE])


def _resample(pixels, sources):
    """Interpolates bilinearly.

    Args:
      pixels: uint8 [n * 28 * 28, K].
      sources: where each pixel of the result comes from (y, x), float32 [n, 2, 28 * 28].

    Returns:
      float32 [n, 28 * 28, K].
    """
    pixels = tf.cast(pixels, tf.float32)
    sources = tf.clip_by_value(sources, 0, SIZE - 1.001)
    corners = tf.floor(sources)
    y, x = tf.unstack((sources - corners)[..., tf.newaxis], axis=1)  # [n, 28 * 28, 1]
    corners = tf.cast(corners, tf.int32)
    first = SIZE * SIZE * tf.range(tf.shape(sources)[0])[:, tf.newaxis]
    corner = first + SIZE * corners[:, 0] + corners[:, 1]

    def row(corner):
        left, right = tf.gather(pixels, corner), tf.gather(pixels, corner + 1)
        return left + x * (right - left)

    above, below = row(corner), row(corner + SIZE)
    return above + y * (below - above)
