"""`tf.contrib.training`: hyperparameters. Imports no TensorFlow."""

from contrib.names import find
from contrib.training.hparam import HParams, parse_values

__all__ = ["HParams", "parse_values"]

__getattr__ = find(__name__, "tensorflow.contrib.slim.training.training")
