"""The one seam that finds tf.estimator, on TensorFlow 2.15 to 2.21.

TensorFlow 2.15 is the last release with `tf.estimator`. From 2.16 on, the same code still lives in
the package `tensorflow-estimator` 2.15.0 (pure Python), once three things are bridged; see
`_bridge`. Everything private that this project touches is in this file, and nothing of the rest of
the project: taken alone, its `install` brings `tf.estimator` back to any program.
"""

import importlib
import importlib.util
import os
import re
import sys
import types

import tensorflow as tf


OLDEST, NEWEST = (2, 15), (2, 21)

if not OLDEST <= tuple(int(part) for part in tf.__version__.split(".")[:2]) <= NEWEST:
    raise SystemExit(
        f"TensorFlow {tf.__version__} is outside the tested range 2.15 to 2.21; "
        'run: pip install "tensorflow>=2.15,<2.22"'
    )


def _bridge():
    """Makes the package tensorflow-estimator importable; returns its `tf.estimator`.

    Nothing of TensorFlow itself is changed: each stand-in is an entry in `sys.modules` for a module
    that this TensorFlow does not have, or whose own imports it does not have.
    """
    if importlib.util.find_spec("tensorflow_estimator") is None:
        raise SystemExit(
            f"TensorFlow {tf.__version__} has no tf.estimator; "
            "run: pip install tensorflow-estimator==2.15.0"
        )
    # 1. What TPUEstimator is made of left TensorFlow with 2.16. The configurations for a TPU can
    #    still be read, by programs that run without one.
    tpu = types.ModuleType("tensorflow_estimator._api.v1.estimator.tpu")
    tpu.__getattr__ = _get_tpu_config

    # 2. The export decorator uses a constant that TensorFlow no longer has; the names are exported
    #    already, in the package's _api.
    export = types.ModuleType("tensorflow_estimator.python.estimator.estimator_export")
    export.estimator_export = lambda *names, **kwargs: _refuse_keras_3

    # 3. The coordinator of tf.distribute strategies is gone, too. On one machine it was only asked
    #    these two questions; across machines there is no true answer.
    coordinator = types.ModuleType("tensorflow.python.distribute.estimator_training")
    coordinator.should_run_distribute_coordinator = lambda config: False
    coordinator.init_run_config = _init_run_config

    for module in (tpu, export, coordinator):
        sys.modules[module.__name__] = module
    return importlib.import_module("tensorflow_estimator._api.v2.estimator")


def _get_tpu_config(name):
    """Returns a name of `tf.compat.v1.estimator.tpu`, which this TensorFlow has a part of."""
    config = importlib.import_module("tensorflow_estimator.python.estimator.tpu.tpu_config")
    if not hasattr(config, name):
        raise AttributeError(
            f"TensorFlow {tf.__version__} has no tf.estimator.tpu.{name}; "
            "use tf.estimator.Estimator and tf.estimator.EstimatorSpec"
        )
    return getattr(config, name)


def _refuse_keras_3(symbol):
    """Makes what is built on Keras 2 say so, where it would fail with an AttributeError."""
    needs_keras_2 = re.search(r"\.(head|canned\.(dnn|linear|rnn))", symbol.__module__)
    asked_for = os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True")
    if not needs_keras_2 or (asked_for and importlib.util.find_spec("tf_keras")):
        return symbol

    def refuse(*args, **kwargs):
        raise ImportError(
            f"{symbol.__name__} needs Keras 2: pip install tf_keras~={tf.__version__[:4]}.0, "
            "and set TF_USE_LEGACY_KERAS=1 before TensorFlow is imported"
        )

    if not isinstance(symbol, type):
        return refuse
    symbol.__init__ = refuse
    return symbol


def _init_run_config(config, tf_config):
    """Sets up a RunConfig with a strategy as TensorFlow 2.15 does on one machine.

    Raises:
        ValueError: the strategy is to run across machines.
    """
    n_tasks = sum(map(len, tf_config.get("cluster", {}).values()))
    if n_tasks > 1 or config._experimental_distribute:
        raise ValueError(
            f"RunConfig: on TensorFlow {tf.__version__} a tf.distribute strategy runs on one "
            "machine, as train_distribute and eval_distribute; leave the strategy out, or the "
            "cluster of TF_CONFIG"
        )
    config._distribute_coordinator_mode = None
    config._init_distributed_setting_from_environment_var(tf_config)
    config._maybe_overwrite_session_config_for_distributed_training()


_estimator = tf.estimator if hasattr(tf, "estimator") else _bridge()

Estimator = _estimator.Estimator
EstimatorSpec = _estimator.EstimatorSpec
ModeKeys = _estimator.ModeKeys
RunConfig = _estimator.RunConfig
TrainSpec = _estimator.TrainSpec
EvalSpec = _estimator.EvalSpec
train_and_evaluate = _estimator.train_and_evaluate
PredictOutput = _estimator.export.PredictOutput
TensorServingInputReceiver = _estimator.export.TensorServingInputReceiver


def install():
    """Puts `tf.estimator` back where programs look for it; TensorFlow 2.15 has it there.

    As a program's first lines, `import tf_estimator; tf_estimator.install()`.
    """
    if hasattr(tf, "estimator"):
        return
    # The first import of tensorflow.compat.v1 replaces tf.compat.v1, so it is imported here.
    versions = ["tensorflow.compat.v1", "tensorflow.compat.v2"]
    nested = [f"{parent}.compat.{version}" for parent in versions for version in ("v1", "v2")]
    for parent in (*versions, *nested, "tensorflow"):
        version = "v1" if parent.endswith("v1") else "v2"
        namespace = importlib.import_module(f"tensorflow_estimator._api.{version}.estimator")
        importlib.import_module(parent).estimator = namespace
        sys.modules[f"{parent}.estimator"] = namespace
        if version == "v1":
            sys.modules[f"{parent}.estimator.tpu"] = namespace.tpu
