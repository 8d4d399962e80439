"""Image summaries of a batch and of the first filters; histograms of the variables."""

import tensorflow as tf


def add_image_summaries(images):
    """Adds image summaries of a batch's first images, uint8 [B, 28, 28], and of the filters."""
    (weights,) = tf.compat.v1.trainable_variables("MnistConvNet/conv1/weights")  # [5, 5, 1, 20]
    with tf.name_scope("pictures"):
        filters = tf.transpose(weights[:, :, 0], [2, 0, 1])  # [20, 5, 5]
        tf.compat.v1.summary.image("batch", tile(images), max_outputs=1)
        tf.compat.v1.summary.image("conv1", tile(filters), max_outputs=1)


def tile(images, rows=4, columns=5):
    """Puts the first images into one: [N, H, W] to [1, rows * (H + 1), columns * (W + 1), 1]."""
    height, width = images.shape[1] + 1, images.shape[2] + 1  # with a line between two images
    images = images[: rows * columns]
    missing = rows * columns - tf.shape(images)[0]
    darkest = tf.reduce_min(images)
    images = tf.pad(images, [[0, missing], [0, 1], [0, 1]], constant_values=darkest)
    images = tf.reshape(images, [rows, columns, height, width])
    images = tf.transpose(images, [0, 2, 1, 3])
    return tf.reshape(images, [1, rows * height, columns * width, 1])


def add_variable_summaries(gradients):
    """Adds histograms of variables and gradients; takes a list of `(gradient, variable)`."""
    with tf.name_scope("variables/"):  # the slash: not below the scope of the caller
        for gradient, variable in gradients:
            tf.compat.v1.summary.histogram(variable.op.name, variable)
            tf.compat.v1.summary.histogram(f"{variable.op.name}_gradient", gradient)
