"""`tf.contrib.metrics`, in the package tf_slim."""

from contrib.names import find

__getattr__ = find(__name__, "tensorflow.contrib.slim.metrics")
