"""The input functions of the blog, which feed the MNIST images to the Estimator.

Blog: "We'll be using the Dataset class and the corresponding Iterator to represent our training and
evaluation data, and to create data feeders that iterate over the data during training."
"""

import tensorflow as tf

from contrib.learn.datasets.mnist import IMAGE_SIZE
from handwriting.augmentation import augment
from hooks import IteratorInitializerHook
from tf_estimator import TensorServingInputReceiver


def get_train_inputs(batch_size, mnist_data, augmentation="none"):
    """Returns the training inputs (blog: "Dataset"): endless epochs, each image once an epoch.

    Args:
      batch_size: images in a batch.
      mnist_data: `Datasets`; `train` is used.
      augmentation: "none", or "elastic" to distort each image, every time in another way.

    Returns:
      `(input_fn, hook)`: `input_fn` returns images, uint8 [batch_size, 28, 28], and labels, uint8
      [batch_size]; the `IteratorInitializerHook` belongs to the hooks of training.
    """
    iterator_initializer_hook = IteratorInitializerHook()

    def train_inputs():
        with tf.name_scope("Training_data"):
            images, labels = mnist_data.train  # uint8 [N, 28, 28], uint8 [N]
            # Placeholders, because the arrays would become a part of the graph.
            images_placeholder = tf.compat.v1.placeholder(images.dtype, images.shape, "images")
            labels_placeholder = tf.compat.v1.placeholder(labels.dtype, labels.shape, "labels")
            dataset = tf.data.Dataset.from_tensor_slices((images_placeholder, labels_placeholder))
            # The blog repeated first, so an image could come twice before another came once.
            dataset = dataset.shuffle(len(labels)).repeat()
            # An endless dataset drops nothing; the static shape lets TensorFlow plan ahead.
            dataset = dataset.batch(batch_size, drop_remainder=True)
            if augmentation == "elastic":
                seeds = tf.data.Dataset.random().batch(2)
                dataset = tf.data.Dataset.zip((dataset, seeds)).map(
                    lambda batch, seed: (augment(batch[0], seed), batch[1])
                )
            iterator = make_iterator(dataset)
            next_images, next_labels = iterator.get_next()
            iterator_initializer_hook.iterator_initializer_func = lambda session: session.run(
                iterator.initializer,
                feed_dict={images_placeholder: images, labels_placeholder: labels},
            )
            return next_images, next_labels

    return train_inputs, iterator_initializer_hook


def get_test_inputs(batch_size, mnist_data, split="test"):
    """Returns the evaluation inputs: every image of a split once, in the order of the file.

    Arguments and results are those of `get_train_inputs`; the last batch may be smaller.
    """
    iterator_initializer_hook = IteratorInitializerHook()

    def test_inputs():
        with tf.name_scope("Test_data"):
            images, labels = getattr(mnist_data, split)  # uint8 [N, 28, 28], uint8 [N]
            images_placeholder = tf.compat.v1.placeholder(images.dtype, images.shape, "images")
            labels_placeholder = tf.compat.v1.placeholder(labels.dtype, labels.shape, "labels")
            dataset = tf.data.Dataset.from_tensor_slices((images_placeholder, labels_placeholder))
            dataset = dataset.batch(batch_size, drop_remainder=len(labels) % batch_size == 0)
            iterator = make_iterator(dataset)
            next_images, next_labels = iterator.get_next()
            iterator_initializer_hook.iterator_initializer_func = lambda session: session.run(
                iterator.initializer,
                feed_dict={images_placeholder: images, labels_placeholder: labels},
            )
            return next_images, next_labels

    return test_inputs, iterator_initializer_hook


def make_iterator(dataset):
    """Returns an initializable iterator that prepares one batch ahead."""
    options = tf.data.Options()
    # There is nothing to tune, and the end of the session would wait for the tuning thread.
    options.autotune.enabled = False
    # There is nothing to rewrite, and the rewriting would copy the arrays.
    options.experimental_optimization.apply_default_optimizations = False
    return tf.compat.v1.data.make_initializable_iterator(dataset.prefetch(1).with_options(options))


def serving_input_receiver_fn():
    """The inputs of the SavedModel: `image` uint8 [N, 28, 28], white digits on black.

    Its second signature takes `image_bytes`, string [N]: such images as PNG or JPEG files.
    """

    def decode(image_bytes):
        image = tf.io.decode_image(image_bytes, channels=1, expand_animations=False)
        return tf.ensure_shape(image, [IMAGE_SIZE, IMAGE_SIZE, 1])[..., 0]

    image_bytes = tf.compat.v1.placeholder(tf.string, [None], "image_bytes")
    decoded = tf.map_fn(decode, image_bytes, fn_output_signature=tf.uint8)
    image = tf.compat.v1.placeholder_with_default(decoded, [None, IMAGE_SIZE, IMAGE_SIZE], "image")
    return TensorServingInputReceiver(
        # The placeholder takes any shape, and the network does not see that all are wrong.
        features=tf.ensure_shape(image, [None, IMAGE_SIZE, IMAGE_SIZE]),
        receiver_tensors={"image": image},
        receiver_tensors_alternatives={"image_bytes": {"image_bytes": image_bytes}},
    )
