"""Runs an Experiment (blog: "we can run it to train and evaluate the model with learn_runner.run").

Imports nothing, so that --help can list the schedules at once.
"""

SCHEDULES = ("train_and_evaluate", "train", "evaluate", "export")


def run(experiment_fn, run_config, schedule, hparams):
    """Makes an Experiment and runs a schedule of it, as `tf.contrib.learn.learn_runner.run` did.

    Args:
      experiment_fn: a function of the next and the last that returns the `Experiment`.
      run_config: `RunConfig`.
      schedule: one of `SCHEDULES`, the methods of `Experiment`.
      hparams: `HParams`.

    Returns:
      What that method returns.

    Raises:
      ValueError: there is no such schedule.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule {schedule!r} has to be one of {', '.join(SCHEDULES)}")
    return getattr(experiment_fn(run_config, hparams), schedule)()
