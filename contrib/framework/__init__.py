"""`tf.contrib.framework`: the global step; variables and `arg_scope`, of the package tf_slim."""

from contrib.names import find

__getattr__ = find(
    __name__,
    "tensorflow.contrib.slim",
    assert_global_step="tensorflow.compat.v1.train",
    create_global_step="tensorflow.compat.v1.train",
    get_global_step="tensorflow.compat.v1.train",
    get_or_create_global_step="tensorflow.compat.v1.train",
    nest="tensorflow.compat.v1",
    variables=__name__,
)
