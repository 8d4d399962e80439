import tensorflow as tf


class IteratorInitializerHook(tf.train.SessionRunHook):
    iterator_initializer_func = None

    def after_create_session(self, session, coord):
        self.iterator_initializer_func(session)


def print_variables(tensors, every_n_iter):
    return tf.train.LoggingTensorHook(
        tensors, every_n_iter=every_n_iter, formatter=lambda values: f"formatted {sorted(values)}"
    )
