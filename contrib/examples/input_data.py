"""The reader of MNIST of TensorFlow 1's tutorials: float images, batches.

It was `tensorflow.examples.tutorials.mnist.input_data` and `tf.contrib.learn.datasets.mnist`.
"""

import numpy as np
import tensorflow.compat.v1 as tf

import contrib.learn.datasets.mnist as mnist


class DataSet:
    """Images, their labels, and batches of both.

    Args:
      images: uint8 [N, H, W, 1].
      labels: [N, ...].
      fake_data, one_hot: not used.
      dtype: float32, then images are in [0, 1], or uint8, then they are as they were.
      reshape: whether images are made [N, H * W].
      seed: of the order of batches; None for the graph's.

    Raises:
      TypeError: another dtype.
    """

    def __init__(
        self,
        images,
        labels,
        fake_data=False,
        one_hot=False,
        dtype=tf.float32,
        reshape=True,
        seed=None,
    ):
        graph_seed, own_seed = tf.get_seed(seed)
        np.random.seed(graph_seed if seed is None else own_seed)
        dtype = tf.as_dtype(dtype).base_dtype
        if dtype not in (tf.float32, tf.uint8):
            raise TypeError(f"DataSet: dtype {dtype.name} has to be uint8 or float32")
        if reshape:
            images = images.reshape(len(images), np.prod(images.shape[1:]))
        if dtype == tf.float32:
            images = images.astype(np.float32) * np.float32(1 / 255)
        self.images, self.labels = images, labels
        self.epochs_completed = self._position = 0

    @property
    def num_examples(self):
        return len(self.labels)

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """Returns `(images, labels)` of the next examples.

        An epoch that ends within a batch is followed by the next, in another order if `shuffle`.
        """
        if shuffle and self._position == self.epochs_completed == 0:
            self._shuffle()
        start, self._position = self._position, self._position + batch_size
        if self._position <= self.num_examples:
            return self.images[start : self._position], self.labels[start : self._position]
        rest = self.images[start:], self.labels[start:]
        self.epochs_completed += 1
        self._position -= self.num_examples
        if shuffle:
            self._shuffle()
        new = self.images[: self._position], self.labels[: self._position]
        return tuple(np.concatenate(arrays) for arrays in zip(rest, new))

    def _shuffle(self):
        order = np.arange(self.num_examples)
        np.random.shuffle(order)
        self.images, self.labels = self.images[order], self.labels[order]


def read_data_sets(
    train_dir,
    fake_data=False,
    one_hot=False,
    dtype=tf.float32,
    reshape=True,
    validation_size=5000,
    seed=None,
    source_url=None,
):
    """Reads MNIST from a directory; an empty one gets the bundled files.

    Args:
      train_dir: the directory; see `contrib.learn.datasets.mnist.read_data_sets`.
      fake_data: False.
      one_hot: whether labels are float64 [N, 10] with a 1 each, not uint8 [N].
      dtype, reshape, seed: see `DataSet`.
      validation_size: how many of the training images are kept for validation.
      source_url: not used, nothing is downloaded.

    Returns:
      `Datasets` with a `DataSet` each: train, validation, test.

    Raises:
      ValueError: validation_size is more than there are; a file is missing or damaged.
    """
    if fake_data:
        raise ValueError("read_data_sets: fake_data is not here; leave it out")
    train, validation, test = mnist.read_data_sets(train_dir)
    images, labels = (np.concatenate(arrays) for arrays in zip(validation, train))
    if not 0 <= validation_size <= len(labels):
        raise ValueError(
            f"Validation size should be between 0 and {len(labels)}. Received: {validation_size}."
        )
    splits = (
        (images[validation_size:], labels[validation_size:]),
        (images[:validation_size], labels[:validation_size]),
        (test.images, test.labels),
    )
    return mnist.Datasets(
        *(
            DataSet(
                images[..., np.newaxis],
                np.eye(10)[labels] if one_hot else labels,
                dtype=dtype,
                reshape=reshape,
                seed=seed,
            )
            for images, labels in splits
        )
    )


def load_mnist(train_dir="MNIST-data"):
    """Reads MNIST; it was `tf.contrib.learn.datasets.load_dataset("mnist")`, too."""
    return read_data_sets(train_dir)
