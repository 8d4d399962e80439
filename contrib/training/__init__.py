"""`tf.contrib.training`: hyperparameters. Imports no TensorFlow."""

from contrib.training.hparam import HParams, parse_values

__all__ = ["HParams", "parse_values"]
