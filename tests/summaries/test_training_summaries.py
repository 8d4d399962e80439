import io

import numpy as np
import tensorflow as tf
from PIL import Image

import summaries
from summaries.training import tile


def test_tiles_are_in_rows_with_a_line_between_them():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = np.arange(3, 3 + 7 * 2 * 3, dtype=np.uint8).reshape([7, 2, 3])
        shown = session.run(tile(tf.constant(images), rows=2, columns=3))
        few = session.run(tile(tf.constant(images[:2]), rows=2, columns=3))
    assert shown.shape == few.shape == (1, 6, 12, 1)
    expected = np.full([6, 12], 3)
    for index in range(6):
        top, left = index // 3 * 3, index % 3 * 4
        expected[top : top + 2, left : left + 3] = images[index]
    np.testing.assert_array_equal(shown[0, :, :, 0], expected)
    expected[3:] = 3
    expected[:, 8:] = 3
    np.testing.assert_array_equal(few[0, :, :, 0], expected)


def test_a_training_batch_shows_twenty_images_and_filters():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        filters = np.arange(5 * 5 * 20, dtype=np.float32).reshape([5, 5, 1, 20])
        with tf.compat.v1.variable_scope("MnistConvNet/conv1"):
            tf.compat.v1.get_variable("weights", initializer=filters)
        images = np.arange(25 * 28 * 28).reshape([25, 28, 28]).astype(np.uint8)
        summaries.add_image_summaries(tf.constant(images))
        session.run(tf.compat.v1.global_variables_initializer())
        merged = session.run(tf.compat.v1.summary.merge_all())
        pictures = {
            value.tag: np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
            for value in tf.compat.v1.Summary.FromString(merged).value
        }
    batch, conv1 = pictures["pictures/batch/image"], pictures["pictures/conv1/image"]
    assert (batch.shape, conv1.shape) == ((116, 145), (24, 30))
    np.testing.assert_array_equal(batch[29:57, 29:57], images[6])
    shades = conv1[6:11, 6:11] / 255 * (filters.max() - filters.min()) + filters.min()
    np.testing.assert_allclose(shades, filters[:, :, 0, 6], atol=2)


def test_variables_and_gradients_are_histograms():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        with tf.compat.v1.variable_scope("layer"):
            weights = tf.compat.v1.get_variable("weights", initializer=[1.0, 2.0])
        with tf.name_scope("caller"):
            summaries.add_variable_summaries([(weights * 10, weights)])
        session.run(tf.compat.v1.global_variables_initializer())
        merged = tf.compat.v1.Summary.FromString(session.run(tf.compat.v1.summary.merge_all()))
    sums = {value.tag: value.histo.sum for value in merged.value}
    assert sums == {"variables/layer/weights": 3, "variables/layer/weights_gradient": 30}
