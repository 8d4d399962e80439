"""`tf.contrib.learn.learn_runner`: makes an Experiment and runs one of its methods."""

from contrib.learn.experiment import Experiment
from contrib.learn.run_config import RunConfig, TaskType
from contrib.training.hparam import HParams

_DEFAULT_SCHEDULES = {
    TaskType.MASTER: "train_and_evaluate",
    TaskType.CHIEF: "train_and_evaluate",
    TaskType.PS: "run_std_server",
    TaskType.WORKER: "train",
    TaskType.EVALUATOR: "continuous_eval",
}


def run(experiment_fn, output_dir=None, schedule=None, run_config=None, hparams=None):
    """Makes an Experiment and calls its method `schedule` (blog: "learn_runner.run").

    Args:
      experiment_fn: called as `experiment_fn(run_config, hparams)`, or as
        `experiment_fn(output_dir)`; returns an `Experiment`.
      output_dir: the model directory, if there is no `run_config`.
      schedule: the name of a method of the Experiment. The default is `train_and_evaluate` on one
        machine; in a cluster the default follows from the task.
      run_config: `RunConfig` with a `model_dir`.
      hparams: `HParams`, or None.

    Returns:
      The result of the method.

    Raises:
      ValueError: an argument is missing or wrong, or there is no such method.
      TypeError: `experiment_fn` or the schedule cannot be called, or `experiment_fn` returns no
        Experiment.
      RuntimeError: the Estimator of the Experiment has another `RunConfig`.
    """
    if output_dir is not None and run_config is not None:
        raise ValueError("Cannot provide both `output_dir` and `run_config`")
    if output_dir is None and run_config is None:
        raise ValueError("Must set value for `output_dir` or `run_config`")
    if not callable(experiment_fn):
        raise TypeError(f'Experiment builder "{experiment_fn}" is not callable.')
    if run_config is None:
        if not output_dir:
            raise ValueError("Must specify an output directory")
        if hparams is not None:
            raise ValueError("Must set `hparams` as None for `experiment_fn` with `output_dir`.")
        experiment = _checked(experiment_fn(output_dir=output_dir))
    else:
        experiment = _run_experiment_fn(experiment_fn, run_config, hparams)
    config = run_config or experiment.estimator.config
    return _get_method(experiment, schedule or _get_default_schedule(config))()


def _run_experiment_fn(experiment_fn, run_config, hparams):
    if not isinstance(run_config, RunConfig):
        raise ValueError("`run_config` must be `tf.contrib.learn.RunConfig` instance")
    if not run_config.model_dir:
        raise ValueError("Must specify a model directory `model_dir` in `run_config`.")
    if hparams is not None and not isinstance(hparams, HParams):
        raise ValueError("`hparams` must be `HParams` instance")
    uid = run_config.uid()
    experiment = _checked(experiment_fn(run_config, hparams))
    config = experiment.estimator.config
    if not hasattr(config, "uid"):
        raise RuntimeError(
            "Pass `run_config` argument of the `experiment_fn` to the Estimator in Experiment."
        )
    if config.uid() != uid:
        raise RuntimeError(
            "`RunConfig` instance is expected to be used by the `Estimator` inside the "
            f"`Experiment`. expected {uid}, but got {config.uid()}"
        )
    return experiment


def _checked(experiment):
    if not isinstance(experiment, Experiment):
        raise TypeError(
            "Experiment builder did not return an Experiment instance, got "
            f"{type(experiment)} instead."
        )
    return experiment


def _get_method(experiment, schedule):
    names = [
        name
        for name in dir(experiment)
        if not name.startswith("_") and callable(getattr(experiment, name))
    ]
    if not hasattr(experiment, schedule):
        raise ValueError(
            f"Schedule references non-existent task {schedule}; it may be {', '.join(names)}"
        )
    if schedule not in names:
        raise TypeError(f"Schedule references non-callable member {schedule}")
    return getattr(experiment, schedule)


def _get_default_schedule(config):
    cluster = config and config.cluster_spec and config.cluster_spec.as_dict()
    if not cluster or sum(map(len, cluster.values())) < 2:
        return "train_and_evaluate"
    if not config.task_type:
        raise ValueError("Must specify a schedule")
    if config.task_type not in _DEFAULT_SCHEDULES:
        raise ValueError(f"No default schedule for task type: {config.task_type}")
    return _DEFAULT_SCHEDULES[config.task_type]
