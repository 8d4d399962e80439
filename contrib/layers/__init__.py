"""`tf.contrib.layers`: the optimizer of the blog; the others are in the package tf_slim."""

from contrib.layers.optimizers import OPTIMIZER_CLS_NAMES, OPTIMIZER_SUMMARIES, optimize_loss
from contrib.names import find

__all__ = ["OPTIMIZER_CLS_NAMES", "OPTIMIZER_SUMMARIES", "optimize_loss"]

__getattr__ = find(
    __name__,
    "tensorflow.contrib.slim",
    initializers=__name__,
    layers=__name__,
    regularizers=__name__,
    utils="tensorflow.contrib.slim.layers.utils",
)
