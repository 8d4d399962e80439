import types

import pytest

from contrib.learn import learn_runner


def test_the_schedules_of_the_readme_the_default_first():
    assert learn_runner.SCHEDULES == ("train_and_evaluate", "train", "evaluate", "export")


@pytest.mark.parametrize("schedule", learn_runner.SCHEDULES)
def test_run_makes_the_experiment_and_returns_what_the_schedule_does(schedule):
    def experiment_fn(run_config, hparams):
        return types.SimpleNamespace(**{schedule: lambda: (run_config, hparams)})

    answer = learn_runner.run(experiment_fn, "run_config", schedule, "hparams")
    assert answer == ("run_config", "hparams")


@pytest.mark.parametrize("schedule", ["test", "latest_step", ""])
def test_what_is_no_schedule_is_told_those_there_are(schedule):
    with pytest.raises(ValueError) as error:
        learn_runner.run(None, None, schedule, None)
    assert str(error.value) == (
        f"schedule {schedule!r} has to be one of train_and_evaluate, train, evaluate, export"
    )
