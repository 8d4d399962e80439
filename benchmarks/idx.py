"""Reads MNIST for the peers, which should not have to import TensorFlow for it."""

import gzip
import os

import numpy as np

VALIDATION_SIZE = 5000  # held back, as in the project


def read_mnist(data_dir):
    """Returns train and test `(images, labels)`, uint8 [N, 28, 28] and uint8 [N]."""

    def read(name, header_size):
        with gzip.open(os.path.join(data_dir, name + ".gz")) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header_size)

    images, test_images = (
        read(f"{split}-images-idx3-ubyte", 16).reshape(-1, 28, 28) for split in ("train", "t10k")
    )
    labels, test_labels = (read(f"{split}-labels-idx1-ubyte", 8) for split in ("train", "t10k"))
    return (images[VALIDATION_SIZE:], labels[VALIDATION_SIZE:]), (test_images, test_labels)
