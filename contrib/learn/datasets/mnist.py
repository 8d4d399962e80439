"""The reader of the MNIST files: `tf.contrib.learn.datasets.mnist.read_data_sets`, as uint8.

The files are gzipped or plain. A directory that is empty or not there gets the bundled files.
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
from absl import logging

from contrib.learn.errors import UserError

IMAGE_SIZE = 28  # pixels
VALIDATION_SIZE = 5000  # training images that are kept for validation, as in 2017

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
FILE_NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
BUNDLED_DATA_DIR = pathlib.Path(__file__).resolve().parents[3] / "mnist_data"

# `images` uint8 [N, 28, 28], 0 is black; `labels` uint8 [N].
DataSet = collections.namedtuple("DataSet", ["images", "labels"])
Datasets = collections.namedtuple("Datasets", ["train", "validation", "test"])


def read_data_sets(data_dir, n_classes=10):
    """Reads MNIST, or other data in its format (blog: "MNIST data").

    Args:
      data_dir: directory with the four files under their standard names, gzipped or plain. If it
        is empty or not there, the bundled ones are copied there first.
      n_classes: labels have to lie in 0..n_classes-1.

    Returns:
      `Datasets`; `validation` is the first 5,000 training images, `train` the others.

    Raises:
      UserError: a file is missing or damaged, or a label is outside the classes.
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
    """Copies the bundled files; a temporary directory keeps half-written files apart."""
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
