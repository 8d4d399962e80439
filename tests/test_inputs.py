import warnings

import numpy as np
import pytest
import tensorflow as tf

import inputs
from contrib.learn.datasets import mnist


def batches(input_fn, hook, n_batches):
    """Returns the first batches of an input function, and the size of its graph in bytes."""
    with tf.Graph().as_default() as graph:
        next_batch = input_fn()
        with tf.compat.v1.train.MonitoredSession(hooks=[hook]) as session:
            return [
                session.run(next_batch) for _ in range(n_batches)
            ], graph.as_graph_def().ByteSize()


def test_arrays_are_not_in_the_graph(mnist_data):
    _, size = batches(*inputs.get_train_inputs(128, mnist_data), n_batches=1)
    assert size < 100_000


def test_pixels_stay_uint8_until_the_model(small_mnist_data):
    [(images, labels)], _ = batches(*inputs.get_train_inputs(128, small_mnist_data), n_batches=1)
    assert (images.dtype, images.shape) == (np.uint8, (128, 28, 28))
    assert (labels.dtype, labels.shape) == (np.uint8, (128,))


def test_an_epoch_has_each_training_image_once_in_a_fresh_order(small_mnist_data):
    two_epochs, _ = batches(*inputs.get_train_inputs(100, small_mnist_data), n_batches=20)
    images = np.concatenate([images for images, _ in two_epochs])
    expected = sorted(image.tobytes() for image in small_mnist_data.train.images)
    first, second = ([image.tobytes() for image in epoch] for epoch in np.split(images, 2))
    assert sorted(first) == sorted(second) == expected
    assert first != second


def test_a_seed_gives_the_order_that_it_always_gave(mnist_data):
    with tf.Graph().as_default():
        tf.compat.v1.set_random_seed(1)
        input_fn, hook = inputs.get_train_inputs(128, mnist_data)
        _, next_labels = input_fn()
        with tf.compat.v1.train.MonitoredSession(hooks=[hook]) as session:
            labels = session.run(next_labels)
    assert labels[:16].tolist() == [2, 2, 8, 9, 7, 8, 4, 7, 4, 3, 4, 4, 1, 7, 6, 2]


def test_augmentation_is_off_unless_asked_for(small_mnist_data):
    [(images, _)], _ = batches(*inputs.get_train_inputs(100, small_mnist_data), n_batches=1)
    originals = {image.tobytes() for image in small_mnist_data.train.images}
    assert {image.tobytes() for image in images} <= originals


def test_augmented_images_keep_their_labels(small_mnist_data):
    images, labels = small_mnist_data.train
    first = [np.flatnonzero(labels == label)[0] for label in range(10)]
    ten = small_mnist_data._replace(train=mnist.DataSet(images[first], labels[first]))
    distorted, _ = batches(*inputs.get_train_inputs(10, ten, "elastic"), n_batches=30)
    images, labels = map(np.concatenate, zip(*distorted))
    assert (images.dtype, images.shape) == (np.uint8, (300, 28, 28))
    originals = ten.train.images.reshape(10, -1)
    similarity = np.corrcoef(images.reshape(300, -1), originals)[:300, 300:]
    assert similarity.max() < 1
    assert np.mean(similarity.argmax(1) == labels) > 0.5


def test_each_batch_is_distorted_afresh_and_a_seed_repeats_it(small_mnist_data):
    ten = small_mnist_data._replace(train=mnist.DataSet(*(a[:10] for a in small_mnist_data.train)))

    def augmented(seed):
        with tf.Graph().as_default(), warnings.catch_warnings():
            warnings.simplefilter("error")
            tf.compat.v1.set_random_seed(seed)
            input_fn, hook = inputs.get_train_inputs(10, ten, "elastic")
            next_batch = input_fn()
            with tf.compat.v1.train.MonitoredSession(hooks=[hook]) as session:
                return np.concatenate([session.run(next_batch)[0] for _ in range(5)])

    np.testing.assert_array_equal(augmented(1), augmented(1))
    assert len({image.tobytes() for seed in (1, 2) for image in augmented(seed)}) == 100


def test_evaluation_has_each_test_image_once_in_order(small_mnist_data):
    whole_evaluation, _ = batches(*inputs.get_test_inputs(300, small_mnist_data), n_batches=4)
    images, labels = map(np.concatenate, zip(*whole_evaluation))
    np.testing.assert_array_equal(images, small_mnist_data.test.images)
    np.testing.assert_array_equal(labels, small_mnist_data.test.labels)


def test_shapes_are_known_where_all_batches_are_alike(small_mnist_data):
    shapes = []
    with tf.Graph().as_default():
        for get_inputs, size in (
            (inputs.get_train_inputs, 300),
            (inputs.get_test_inputs, 250),
            (inputs.get_test_inputs, 300),
        ):
            images, labels = get_inputs(size, small_mnist_data)[0]()
            shapes.append((images.shape.as_list(), labels.shape.as_list()))
    assert shapes == [
        ([300, 28, 28], [300]),
        ([250, 28, 28], [250]),
        ([None, 28, 28], [None]),
    ]


def test_no_thread_that_tunes_keeps_a_session_from_closing(small_mnist_data, monkeypatch):
    made = []
    original = tf.data.Options
    monkeypatch.setattr(tf.data, "Options", lambda: made.append(original()) or made[-1])
    with tf.Graph().as_default():
        inputs.get_train_inputs(10, small_mnist_data)[0]()
        inputs.get_test_inputs(10, small_mnist_data)[0]()
    assert [options.autotune.enabled for options in made] == [False, False]
    # It would copy the arrays.
    rewrites = [options.experimental_optimization.apply_default_optimizations for options in made]
    assert rewrites == [False, False]


def test_an_exported_model_takes_arrays_or_files(small_mnist_data):
    digits = small_mnist_data.test.images[:3]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        receiver = inputs.serving_input_receiver_fn()
        [(name, image)] = receiver.receiver_tensors.items()
        [(alternative, tensors)] = receiver.receiver_tensors_alternatives.items()
        assert (name, alternative, list(tensors)) == ("image", "image_bytes", ["image_bytes"])
        assert (image.dtype, image.shape.as_list()) == (tf.uint8, [None, 28, 28])
        np.testing.assert_array_equal(session.run(receiver.features, {image: digits}), digits)
        image_bytes = tensors["image_bytes"]

        def decode(encode, images):
            files = [session.run(encode(tf.constant(image))) for image in images]
            return session.run(receiver.features, {image_bytes: files})

        gray, colored = digits[..., np.newaxis], np.stack([digits] * 3, -1)
        np.testing.assert_array_equal(decode(tf.io.encode_png, gray), digits)
        np.testing.assert_array_equal(decode(tf.io.encode_png, colored), digits)
        jpeg = decode(lambda image: tf.io.encode_jpeg(image, quality=100), gray)
        np.testing.assert_allclose(jpeg.astype(int), digits, atol=30)
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(tf.io.encode_png, gray[:, :14])


def test_names_of_the_input_functions_are_the_blogs(small_mnist_data):
    with tf.Graph().as_default() as graph:
        inputs.get_train_inputs(10, small_mnist_data)[0]()
        inputs.get_test_inputs(10, small_mnist_data)[0]()
    scopes = {operation.name.split("/")[0] for operation in graph.get_operations()}
    assert {"Training_data", "Test_data"} <= scopes
