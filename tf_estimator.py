"""The one seam that finds tf.estimator, on TensorFlow 2.15 to 2.21.

TensorFlow 2.15 is the last release with `tf.estimator`. From 2.16 on, the same code still lives in
the package `tensorflow-estimator` 2.15.0 (pure Python), once three things are bridged; see
`_bridge`. Everything private that this project touches is in this file.
"""

import importlib
import importlib.util
import os
import sys
import types
import warnings

from absl import logging


def _import_tensorflow():
    """Imports TensorFlow without its C++ and CUDA notices, unless the user asked for them.

    Since 2.18 TensorFlow writes some of them, when it is imported and when it runs its first
    session, whatever TF_CPP_MIN_LOG_LEVEL says. So file descriptor 2 looks away for both; what goes
    wrong is raised all the same.
    """
    # A GPU's memory is taken as it is needed, not all at once.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if "tensorflow" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return importlib.import_module("tensorflow")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    stderr = os.dup(2)
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        tensorflow = importlib.import_module("tensorflow")
        with tensorflow.Graph().as_default(), tensorflow.compat.v1.Session() as session:
            session.run(tensorflow.constant(0))
        return tensorflow
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


tf = _import_tensorflow()

OLDEST, NEWEST = (2, 15), (2, 21)

if not OLDEST <= tuple(int(part) for part in tf.__version__.split(".")[:2]) <= NEWEST:
    raise SystemExit(
        f"TensorFlow {tf.__version__} is outside the tested range 2.15 to 2.21; "
        'run: pip install "tensorflow>=2.15,<2.22"'
    )


def _bridge():
    """Makes the modules of tensorflow-estimator importable without its `__init__`.

    Nothing of TensorFlow itself is changed: each stand-in is an entry in `sys.modules` for a module
    that this TensorFlow does not have, and the one below `tensorflow.` is removed again.
    """
    spec = importlib.util.find_spec("tensorflow_estimator")
    if spec is None:
        raise SystemExit(
            f"TensorFlow {tf.__version__} has no tf.estimator; "
            "run: pip install tensorflow-estimator==2.15.0"
        )
    # 1. The package's own __init__ imports every canned estimator, and those need Keras 2.
    package = types.ModuleType("tensorflow_estimator")
    package.__path__ = list(spec.submodule_search_locations)

    # 2. Its export decorator uses a constant that TensorFlow no longer has; nothing here needs the
    #    exported names.
    export = types.ModuleType("tensorflow_estimator.python.estimator.estimator_export")
    export.estimator_export = lambda *names, **kwargs: lambda symbol: symbol

    # 3. The coordinator of tf.distribute strategies left TensorFlow with 2.16. Without a strategy
    #    it is only asked these two questions; with one, no answer would be true.
    coordinator = types.ModuleType("tensorflow.python.distribute.estimator_training")
    coordinator.should_run_distribute_coordinator = lambda config: False

    def init_run_config(config, tf_config):
        raise ValueError(
            "RunConfig: a tf.distribute strategy needs TensorFlow 2.15, this is "
            f"{tf.__version__}; leave train_distribute, eval_distribute and "
            "experimental_distribute out"
        )

    coordinator.init_run_config = init_run_config

    for module in (package, export, coordinator):
        sys.modules[module.__name__] = module
    try:
        modules = [
            importlib.import_module(f"tensorflow_estimator.python.estimator.{name}")
            for name in ("estimator", "model_fn", "run_config", "training", "export.export")
        ]
        output = importlib.import_module(
            "tensorflow_estimator.python.estimator.export.export_output"
        )
    finally:
        del sys.modules[coordinator.__name__]
    estimator, model_fn, run_config, training, export = modules
    return types.SimpleNamespace(
        Estimator=estimator.EstimatorV2,
        EstimatorSpec=model_fn.EstimatorSpec,
        ModeKeys=model_fn.ModeKeys,
        RunConfig=run_config.RunConfig,
        TrainSpec=training.TrainSpec,
        EvalSpec=training.EvalSpec,
        train_and_evaluate=training.train_and_evaluate,
        export=types.SimpleNamespace(
            PredictOutput=output.PredictOutput,
            TensorServingInputReceiver=export.TensorServingInputReceiver,
        ),
    )


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


class CheckpointSaverHook(tf.compat.v1.train.CheckpointSaverHook):
    """Saves at multiples of `save_steps`, also when the run before stopped between two of them."""

    def __init__(self, checkpoint_dir, save_steps, listeners=None):
        # The graph goes to the events; a copy of it beside each checkpoint would only cost time.
        super().__init__(
            checkpoint_dir, save_steps=save_steps, listeners=listeners, save_graph_def=False
        )
        self._save_steps = save_steps
        # The default would fetch the global step in a run of its own after each training step.
        self._set_steps_per_run(1)

    def after_create_session(self, session, coord):
        super().after_create_session(session, coord)
        # Only the hook's own timer knows when the next checkpoint is due.
        step = self._timer.last_triggered_step()
        self._timer.update_last_triggered_step(step - step % self._save_steps)


def set_up_logging():
    """Shows each message once, without a prefix: TensorFlow's logger has a handler beside absl's.

    TensorFlow's own messages are for --verbosity=1 (debug); its errors are raised as well.
    """
    # TensorFlow 2.20 writes text in a way that its protobuf warns of.
    warnings.filterwarnings("ignore", module="google.protobuf")
    logging.get_absl_handler().setFormatter(None)
    logger = tf.get_logger()
    logger.handlers.clear()
    logger.setLevel("INFO" if logging.get_verbosity() >= logging.DEBUG else "FATAL")
