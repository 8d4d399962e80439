"""`tf.contrib.learn`: the Experiment and what it stands on.

A name is imported when it is used, so that a reader of data does not wait for TensorFlow.
"""

from contrib.names import find

__getattr__ = find(
    __name__,
    Evaluation="contrib.learn.evaluation",
    Experiment="contrib.learn.experiment",
    ExportStrategy="contrib.learn.export_strategy",
    ModeKeys="contrib.learn.model_fn",
    RunConfig="contrib.learn.run_config",
    TaskType="contrib.learn.run_config",
    make_export_strategy="contrib.learn.export_strategy",
    saved_model_export_utils="contrib.learn.export_strategy",
    utils="contrib.learn.export_strategy",
)
