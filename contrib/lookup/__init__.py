"""`tf.contrib.lookup`: tables, which TensorFlow still has."""

from tensorflow.python.ops import lookup_ops  # of v1's tables only half is public

from contrib.names import find

__getattr__ = find(__name__, lookup_ops.__name__)


def index_table_from_tensor(mapping, *args, **kwargs):
    """A table from strings to their places in a tensor, which became `vocabulary_list`."""
    return lookup_ops.index_table_from_tensor(mapping, *args, **kwargs)


def index_to_string_table_from_tensor(mapping, *args, **kwargs):
    """A table from places in a tensor to its strings."""
    return lookup_ops.index_to_string_table_from_tensor(mapping, *args, **kwargs)
