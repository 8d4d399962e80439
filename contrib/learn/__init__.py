"""`tf.contrib.learn`: the Experiment and what it stands on.

A name is imported when it is used, so that a reader of data does not wait for TensorFlow.
"""

import importlib

_MODULES = {
    "Evaluation": "evaluation",
    "Experiment": "experiment",
    "ExportStrategy": "export_strategy",
    "ModeKeys": "model_fn",
    "RunConfig": "run_config",
    "TaskType": "run_config",
}


def __getattr__(name):
    if name == "learn_runner":
        return importlib.import_module("contrib.learn.learn_runner")
    if name not in _MODULES:
        raise AttributeError(f"module 'contrib.learn' has no attribute '{name}'")
    return getattr(importlib.import_module(f"contrib.learn.{_MODULES[name]}"), name)
