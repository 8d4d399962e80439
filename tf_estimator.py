"""Finds tf.estimator on TensorFlow 2.15 to 2.21; `install` gives tf.estimator back to any program.

TensorFlow 2.15 is the last release with `tf.estimator`. The package `tensorflow-estimator` 2.15.0
(pure Python) still has the code. `_bridge` makes the package importable on TensorFlow 2.16 and
later. This file needs no other file of the project, so it can be copied away.
"""

import copy
import functools
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
        f"TensorFlow {tf.__version__} is outside the supported range 2.15 to 2.21; "
        'run: pip install "tensorflow>=2.15,<2.22"'
    )


def _bridge():
    """Makes the package tensorflow-estimator importable; returns its `tf.estimator`.

    TensorFlow itself stays as it is. Each stand-in is an entry in `sys.modules` for a module that
    this TensorFlow does not have, or that cannot be imported with this TensorFlow.
    """
    if importlib.util.find_spec("tensorflow_estimator") is None:
        raise SystemExit(
            f"TensorFlow {tf.__version__} has no tf.estimator; "
            "run: pip install tensorflow-estimator==2.15.0"
        )
    # A failed `import tensorflow_estimator` leaves half of the package in sys.modules.
    if "tensorflow_estimator._api.v2.estimator" not in sys.modules:
        for name in [name for name in sys.modules if name.startswith("tensorflow_estimator")]:
            del sys.modules[name]

    # 1. TPUEstimator imports three modules that left TensorFlow with 2.16. It uses their classes on
    #    a TPU only; without a TPU it is an Estimator.
    for name in ("session_support", "tpu_embedding", "tpu_embedding_gradient"):
        module = types.ModuleType(f"tensorflow.python.tpu.{name}")
        module.__getattr__ = functools.partial(_create_class, module)
        sys.modules[module.__name__] = module

    # 2. The export decorator uses a constant that TensorFlow no longer has. The package's _api
    #    exports the names already.
    export = types.ModuleType("tensorflow_estimator.python.estimator.estimator_export")
    export.estimator_export = lambda *names, **kwargs: _refuse_keras_3
    sys.modules[export.__name__] = export

    # 3. TensorFlow still has the coordinator of tf.distribute strategies, but no longer the module
    #    that connects an Estimator to it.
    training = types.ModuleType("tensorflow.python.distribute.estimator_training")
    training.init_run_config = _init_run_config
    training.should_run_distribute_coordinator = _is_across_machines
    training.train_and_evaluate = _train_and_evaluate
    training.estimator_train = training.estimator_evaluate = _refuse_to_run_alone
    sys.modules[training.__name__] = training
    return importlib.import_module("tensorflow_estimator._api.v2.estimator")


def _create_class(module, name):
    """Creates a class of a module that this TensorFlow does not have; it has no instances."""
    if name.startswith("__"):
        raise AttributeError(name)  # Python itself asks, for example for __path__

    def refuse(self, *args, **kwargs):
        raise NotImplementedError(
            f"TensorFlow {tf.__version__} has no {module.__name__}.{name}; "
            "TensorFlow 2.15 is the last release that has it"
        )

    setattr(module, name, type(name, (), {"__init__": refuse}))
    return getattr(module, name)


def _refuse_keras_3(symbol):
    """Makes an estimator that is built on Keras 2 say so, instead of an AttributeError."""
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
    """Sets up a RunConfig with a strategy, for one machine or for a task of the cluster.

    Raises:
        ValueError: a strategy is given twice, or `remote_cluster`.
    """
    distribute = config._experimental_distribute
    if distribute and distribute.remote_cluster:
        raise ValueError(
            f"RunConfig: TensorFlow {tf.__version__} has no remote_cluster for tf.estimator; "
            "start a process for each task, with TF_CONFIG"
        )
    for name in ("train_distribute", "eval_distribute"):
        strategy = distribute and getattr(distribute, name)
        if strategy and getattr(config, name):
            raise ValueError(f"RunConfig: {name} and experimental_distribute.{name} are both given")
        # RunConfig has no public way to change a strategy.
        setattr(config, f"_{name}", strategy or getattr(config, name))
    cluster_spec = tf.train.ClusterSpec(tf_config.get("cluster", {}))
    # The Estimator asks for this attribute by this name.
    config._distribute_coordinator_mode = None
    if not cluster_spec or "master" in cluster_spec.jobs or not config.train_distribute:
        config._init_distributed_setting_from_environment_var(tf_config)
        config._maybe_overwrite_session_config_for_distributed_training()
    else:
        # The rest of the cluster comes from the coordinator; see `_copy_for_task`.
        config._init_distributed_setting_from_environment_var({})
        config._cluster_spec = cluster_spec
        config._distribute_coordinator_mode = "independent_worker"


def _is_across_machines(config):
    # A RunConfig without a strategy does not have the attribute.
    return getattr(config, "_distribute_coordinator_mode", None) == "independent_worker"


def _train_and_evaluate(estimator, train_spec, eval_spec, executor_cls):
    """Does the part of this task in `train_and_evaluate` with a strategy across machines."""
    # Nothing public runs the coordinator.
    from tensorflow.python.distribute import distribute_coordinator

    def train(strategy):
        task = _copy_for_task(estimator)
        task._config._train_distribute = task._train_distribution = strategy
        task.train(train_spec.input_fn, train_spec.hooks, max_steps=train_spec.max_steps)

    def evaluate(strategy):
        task = _copy_for_task(estimator)
        task._config._eval_distribute = task._eval_distribution = strategy
        executor_cls(task, train_spec, eval_spec)._start_continuous_evaluation()

    config = estimator.config
    distribute_coordinator.run_distribute_coordinator(
        train,
        config.train_distribute,
        evaluate,
        config.eval_distribute,
        mode=config._distribute_coordinator_mode,
        session_config=config.session_config,
    )


def _copy_for_task(estimator):
    """Returns a copy of the Estimator; its config follows the worker context of the coordinator."""
    # Nothing public tells the worker context.
    from tensorflow.python.distribute import distribute_coordinator_context

    context = distribute_coordinator_context.get_current_worker_context()
    estimator = copy.deepcopy(estimator)
    # RunConfig has no public way to set the properties that it reads from TF_CONFIG.
    config = estimator._config
    config._distribute_coordinator_mode = None  # else `train` would start a coordinator, too
    config._service = None
    config._task_type, config._task_id = context.task_type, context.task_id
    config._master = config._evaluation_master = context.master_target
    config._is_chief = context.is_chief
    if context.task_type == "evaluator":  # the evaluator does not know the other tasks
        config._cluster_spec = tf.train.ClusterSpec({})
        config._num_ps_replicas = config._num_worker_replicas = 0
        config._global_id_in_cluster = None
        return estimator
    config._cluster_spec = cluster_spec = context.cluster_spec
    config._num_ps_replicas = len(cluster_spec.as_dict().get("ps", []))
    config._num_worker_replicas = context.num_workers
    config._global_id_in_cluster = 0
    if context.task_type:  # None for the one process that runs the replicas of all workers
        jobs = sorted(cluster_spec.jobs, key=lambda job: (job != "chief", job == "ps", job))
        before = jobs[: jobs.index(context.task_type)]
        config._global_id_in_cluster = sum(map(cluster_spec.num_tasks, before)) + context.task_id
    return estimator


def _refuse_to_run_alone(estimator, run, hooks):
    raise ValueError(
        "Estimator: with a strategy across machines, call tf.estimator.train_and_evaluate "
        "instead of train or evaluate"
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


def install():
    """Puts `tf.estimator` where programs look for it; on TensorFlow 2.15 nothing changes.

    A program begins with `import tf_estimator; tf_estimator.install()`.
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
    # TensorFlow 2.15 has the package's modules under names of its own, too.
    importlib.import_module("tensorflow_estimator.python.estimator.estimator_lib")
    for name in sorted(sys.modules):
        if name.startswith("tensorflow_estimator.python.estimator"):
            own_name = name.replace("tensorflow_estimator", "tensorflow")
            own_name = own_name.replace(".estimator.tpu.", ".tpu.").replace("keras_lib", "keras")
            module = sys.modules[own_name] = sys.modules[name]
            parent, _, child = own_name.rpartition(".")
            setattr(sys.modules[parent], child, module)
