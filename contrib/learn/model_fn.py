"""`tf.contrib.learn.ModeKeys`."""

import tf_estimator


class ModeKeys(tf_estimator.ModeKeys):
    """The modes of a `model_fn`; INFER is contrib's name of PREDICT."""

    INFER = tf_estimator.ModeKeys.PREDICT
