"""`tf.contrib.data`, which became `tf.data` and `tf.data.experimental`."""

from contrib.names import find

__getattr__ = find(__name__, "tensorflow.compat.v1.data", "tensorflow.compat.v1.data.experimental")


def batch_and_drop_remainder(batch_size):
    """A function for `Dataset.apply` that makes batches, without what is left over at the end."""
    return lambda dataset: dataset.batch(batch_size, drop_remainder=True)
