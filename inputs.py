"""The data of the blog: reads the MNIST files and builds the input functions of the Estimator.

Blog: "We'll be using the Dataset class and the corresponding Iterator to represent our training and
evaluation data, and to create data feeders that iterate over the data during training."
"""

import collections
import gzip
import itertools
import os
import pathlib
import shutil
import tempfile
import zlib

import numpy as np
import tensorflow as tf
from absl import logging

from handwriting.augmentation import augment
from contrib.learn.errors import UserError
from hooks import IteratorInitializerHook
from tf_estimator import TensorServingInputReceiver

IMAGE_SIZE = 28
VALIDATION_SIZE = 5000  # the original's reader held back this many training images
EVAL_BATCH_SIZE = 250  # larger than in the blog: the same result, sooner, in little memory

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
FILE_NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
BUNDLED_DATA_DIR = pathlib.Path(__file__).resolve().parent / "mnist_data"

# `images` uint8 [N, 28, 28], 0 is black; `labels` uint8 [N].
DataSet = collections.namedtuple("DataSet", ["images", "labels"])
Datasets = collections.namedtuple("Datasets", ["train", "validation", "test"])


def read_data_sets(data_dir, n_classes=10):
    """Reads MNIST, or any data in its format, as the original's reader of the same name did.

    Args:
      data_dir: directory with the four files under their standard names, gzipped or plain. If it
        is empty or not there, the bundled ones are copied there first.
      n_classes: labels have to lie in 0..n_classes-1.

    Returns:
      `Datasets`; `validation` is the first 5,000 training images, `train` the others.

    Raises:
      UserError: one line that names the file, what is wrong with it and what to do.
    """
    if "://" in str(data_dir):
        raise UserError(f"--data_dir {data_dir}: has to be a local directory; copy the files there")
    data_dir = pathlib.Path(data_dir)
    try:
        paths = _find_files(data_dir)
    except OSError as error:
        raise UserError(f"--data_dir {data_dir}: {error.strerror}; give another one") from None
    train = _read_data_set(paths[TRAIN_IMAGES], paths[TRAIN_LABELS], n_classes)
    test = _read_data_set(paths[TEST_IMAGES], paths[TEST_LABELS], n_classes)
    if len(train.labels) <= VALIDATION_SIZE:
        raise UserError(
            f"{paths[TRAIN_IMAGES]}: {len(train.labels)} images, but the first {VALIDATION_SIZE} "
            "are held back for validation; use a larger training set"
        )
    return Datasets(
        train=DataSet(*(array[VALIDATION_SIZE:] for array in train)),
        validation=DataSet(*(array[:VALIDATION_SIZE] for array in train)),
        test=test,
    )


def _find_files(data_dir):
    """Returns {standard name: path}, after filling a directory that is empty or not there."""
    candidates = {name: (data_dir / name, data_dir / f"{name}.gz") for name in FILE_NAMES}
    for link in (data_dir, *itertools.chain(*candidates.values())):
        if link.is_symlink() and not link.exists():
            raise UserError(f"{link}: a link to {os.readlink(link)}, which is not there; mend it")
    for plain, compressed in candidates.values():
        if plain.exists() and compressed.exists():
            raise UserError(f"{plain}: is there with .gz and without; remove one of them")
    paths = {name: path for name in FILE_NAMES for path in candidates[name] if path.exists()}
    missing = [name for name in FILE_NAMES if name not in paths]
    if len(missing) == len(FILE_NAMES) and _is_empty(data_dir):
        _copy_bundled_files(data_dir)
        return _find_files(data_dir)
    if missing:
        raise UserError(
            f"--data_dir {data_dir}: has no {', '.join(missing)} (.gz or plain); add what is "
            "missing, or give an empty directory to get the bundled MNIST files"
        )
    return paths


def _is_empty(data_dir):
    """Whether there is nothing but hidden files; so it is if there is no such directory."""
    if data_dir.exists() and not data_dir.is_dir():
        raise UserError(f"--data_dir {data_dir} is a file; give a directory")
    # A new volume has a directory lost+found.
    return not data_dir.exists() or all(
        path.name.startswith(".") or path.name == "lost+found" for path in data_dir.iterdir()
    )


def _copy_bundled_files(data_dir):
    """Copies to a temporary directory first, so that no half-written file gets a standard name."""
    logging.info("%s is empty: the bundled MNIST files are copied there", data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".mnist-", dir=data_dir) as temporary_dir:
            copies = [
                shutil.copy(BUNDLED_DATA_DIR / f"{name}.gz", temporary_dir) for name in FILE_NAMES
            ]
            for copy in copies:
                os.replace(copy, data_dir / os.path.basename(copy))
    except OSError as error:
        raise UserError(
            f"--data_dir {data_dir}: the bundled MNIST files can't be copied there: "
            f"{error.strerror}; give a directory that can be written, or one that has the files"
        ) from None


def _read_data_set(images_path, labels_path, n_classes):
    images = read_idx(images_path, n_dimensions=3)
    labels = read_idx(labels_path, n_dimensions=1)
    if images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE):
        raise UserError(
            f"{images_path}: images of {images.shape[1]}x{images.shape[2]} pixels, but the network "
            f"takes {IMAGE_SIZE}x{IMAGE_SIZE}; resize them"
        )
    if len(images) != len(labels):
        raise UserError(
            f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path}; "
            "get both files from one source"
        )
    if not len(labels):
        raise UserError(f"{labels_path}: no labels; get the file again")
    if labels.max() >= n_classes:
        raise UserError(
            f"{labels_path}: label {labels.max()} is outside 0..{n_classes - 1}; "
            f"set --hparams n_classes={labels.max() + 1}"
        )
    return DataSet(images, labels)


def read_idx(path, n_dimensions):
    """Reads one IDX file of unsigned bytes (LeCun, Cortes, Burges: "The MNIST database").

    Args:
      path: a `pathlib.Path`, gzipped if it ends in `.gz`.
      n_dimensions: 3 for images, 1 for labels.

    Returns:
      uint8 array with that many dimensions.

    Raises:
      UserError: the file is truncated, corrupt or of another format.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file ({error}); get it again") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; it has to be a file to read") from error
    header_size = 4 * (1 + n_dimensions)
    magic = int.from_bytes(content[:4], "big")
    expected = 0x0800 + n_dimensions  # 08: unsigned bytes
    if len(content) < header_size:
        raise UserError(
            f"{path}: {len(content)} bytes, less than the header of an IDX file has; get it again"
        )
    if magic != expected:
        raise UserError(
            f"{path}: magic number {magic}, expected {expected} for an IDX file of unsigned bytes "
            f"with {n_dimensions} dimension(s); get the file again"
        )
    shape = tuple(int(size) for size in np.frombuffer(content[4:header_size], ">u4"))
    if len(content) != header_size + int(np.prod(shape, dtype=object)):
        raise UserError(
            f"{path}: {len(content) - header_size} bytes of data where its header promises "
            f"{' x '.join(map(str, shape))}; get the file again"
        )
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)


def get_train_inputs(batch_size, mnist_data, augmentation="none"):
    """The training data: every image once an epoch, in a fresh order, without end.

    With `augmentation` "elastic" it is distorted afresh each time; see `augmentation.py`.

    Returns:
      `(input_fn, hook)`: `input_fn` makes `(images, labels)`, uint8 [batch_size, 28, 28] and uint8
      [batch_size]; the `IteratorInitializerHook` has to be among the training hooks.
    """

    def shuffled_batches(images, labels):
        # What is shuffled are the labels and the numbers of the images: a buffer of all images
        # would be a second copy of them, filled anew at each epoch.
        dataset = tf.data.Dataset.from_tensor_slices(labels).enumerate()
        # The original repeated first and then shuffled with a buffer of 10,000 of the 55,000
        # images: an image could come twice before another had come once.
        dataset = dataset.shuffle(len(mnist_data.train.labels)).repeat()
        # Nothing is dropped from an endless dataset; the static shape lets TensorFlow plan ahead.
        dataset = dataset.batch(batch_size, drop_remainder=True)
        dataset = dataset.map(lambda numbers, labels: (tf.gather(images, numbers), labels))
        if augmentation == "none":
            return dataset
        seeds = tf.data.Dataset.random().batch(2)
        return tf.data.Dataset.zip((dataset, seeds)).map(
            lambda data, seed: (augment(data[0], seed), data[1])
        )

    return _get_inputs("Training_data", mnist_data.train, shuffled_batches)


def get_test_inputs(batch_size, mnist_data):
    """The evaluation data: every test image once, in the order of the file; returns as above.

    The last batch holds what is left over, if anything.
    """

    def batches(*placeholders):
        divides = len(mnist_data.test.labels) % batch_size == 0
        dataset = tf.data.Dataset.from_tensor_slices(placeholders)
        return dataset.batch(batch_size, drop_remainder=divides)

    return _get_inputs("Test_data", mnist_data.test, batches)


def _get_inputs(name_scope, data_set, to_batches):
    iterator_initializer_hook = IteratorInitializerHook()

    def input_fn():
        with tf.name_scope(name_scope):
            # Placeholders, so that the arrays do not become a part of the graph.
            placeholders = tuple(
                tf.compat.v1.placeholder(array.dtype, array.shape, name)
                for name, array in zip(DataSet._fields, data_set)
            )
            dataset = to_batches(*placeholders)
            options = tf.data.Options()
            # There is nothing to tune, and closing the session would wait for the tuning thread.
            options.autotune.enabled = False
            # There is nothing to rewrite either, and it would copy the arrays.
            options.experimental_optimization.apply_default_optimizations = False
            dataset = dataset.prefetch(1).with_options(options)
            iterator = tf.compat.v1.data.make_initializable_iterator(dataset)
            images, labels = iterator.get_next()  # [B, 28, 28], [B]
            iterator_initializer_hook.iterator_initializer_func = lambda session: session.run(
                iterator.initializer, feed_dict=dict(zip(placeholders, data_set))
            )
            return images, labels

    return input_fn, iterator_initializer_hook


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
