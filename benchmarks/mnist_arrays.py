"""Reads MNIST for Keras and PyTorch with the project's reader, which does not import TensorFlow."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from contrib.learn.datasets.mnist import read_data_sets


def read_mnist(data_dir):
    """Returns train and test `(images, labels)`, uint8 [N, 28, 28] and uint8 [N]."""
    data_sets = read_data_sets(data_dir)
    return data_sets.train, data_sets.test
