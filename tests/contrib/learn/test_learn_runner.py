import json

import pytest

import tf_estimator
from contrib.learn import Experiment, RunConfig, learn_runner
from contrib.training import HParams
from tf_estimator import Estimator

CLUSTER = {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}
SCHEDULES = ("train", "evaluate", "train_and_evaluate", "test", "continuous_eval", "run_std_server")


class RecordingExperiment(Experiment):
    """An Experiment whose schedules return their names."""

    def __init__(self, config):
        super().__init__(Estimator(lambda features: None, config=config), None, None)
        for name in SCHEDULES:
            setattr(self, name, lambda name=name: name)


def experiment_fn(run_config, hparams):
    return RecordingExperiment(run_config)


@pytest.fixture(autouse=True)
def set_tf_config(monkeypatch):
    """A function that sets TF_CONFIG; it is not set before."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return lambda config: monkeypatch.setenv("TF_CONFIG", json.dumps(config))


@pytest.fixture
def run_config():
    return RunConfig(model_dir="model")


def test_run_makes_the_experiment_with_its_arguments(run_config):
    calls, hparams = [], HParams(learning_rate=0.1)

    def make_experiment(*args):
        calls.append(args)
        return experiment_fn(*args)

    answer = learn_runner.run(make_experiment, None, "evaluate", run_config, hparams)
    assert answer == "evaluate"
    assert calls == [(run_config, hparams)]
    arguments = {"run_config": run_config, "schedule": "train"}
    assert learn_runner.run(experiment_fn=make_experiment, **arguments) == "train"
    assert calls[-1] == (run_config, None)


def test_an_experiment_may_be_made_from_a_directory():
    def make_experiment(output_dir):
        return RecordingExperiment(tf_estimator.RunConfig(model_dir=output_dir))

    assert learn_runner.run(make_experiment, "model") == "train_and_evaluate"
    assert learn_runner.run(make_experiment, "model", "test") == "test"


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_is_any_method(run_config, schedule):
    assert learn_runner.run(experiment_fn, None, schedule, run_config) == schedule


def test_a_schedule_may_be_a_method_of_a_programs_own_experiment(run_config):
    class OwnExperiment(RecordingExperiment):
        def train_twice(self):
            return "trained twice"

    make_experiment = lambda run_config, hparams: OwnExperiment(run_config)  # noqa: E731
    assert learn_runner.run(make_experiment, None, "train_twice", run_config) == "trained twice"


@pytest.mark.parametrize(
    ("task_type", "schedule"),
    [
        ("chief", "train_and_evaluate"),
        ("worker", "train"),
        ("ps", "run_std_server"),
        ("evaluator", "train_and_evaluate"),  # does the evaluations of a cluster, too
    ],
)
def test_the_default_schedule_is_that_of_the_task(set_tf_config, task_type, schedule):
    task = {"type": task_type, "index": 0}
    set_tf_config({"cluster": CLUSTER, "task": task})
    assert learn_runner.run(experiment_fn, run_config=RunConfig(model_dir="a")) == schedule


def test_a_master_trains_and_evaluates(set_tf_config):
    cluster = {"master": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}
    set_tf_config({"cluster": cluster, "task": {"type": "master", "index": 0}})
    run_config = RunConfig(model_dir="a")
    assert learn_runner.run(experiment_fn, run_config=run_config) == "train_and_evaluate"


def test_on_one_machine_the_default_is_to_train_and_evaluate(run_config, set_tf_config):
    assert learn_runner.run(experiment_fn, run_config=run_config) == "train_and_evaluate"
    set_tf_config({"cluster": {"master": ["a:1"]}, "task": {"type": "master", "index": 0}})
    run_config = RunConfig(model_dir="model")
    assert learn_runner.run(experiment_fn, run_config=run_config) == "train_and_evaluate"


@pytest.mark.parametrize("schedule", ["latest_step", "Train"])
def test_what_is_no_schedule_is_told_the_methods(run_config, schedule):
    with pytest.raises(ValueError) as error:
        learn_runner.run(experiment_fn, None, schedule, run_config)
    message = str(error.value)
    assert message.startswith(f"Schedule references non-existent task {schedule}; it may be ")
    names = message.partition("it may be ")[2].split(", ")
    assert set(names) > {*SCHEDULES, "export", "local_run", "continuous_train_and_eval"}
    assert not [name for name in names if name.startswith("_")]
    assert "estimator" not in names


@pytest.mark.parametrize("schedule", ["estimator", "results", "_train"])
def test_a_member_that_is_no_public_method_is_no_schedule(run_config, schedule):
    with pytest.raises(TypeError, match=f"Schedule references non-callable member {schedule}"):
        learn_runner.run(experiment_fn, None, schedule, run_config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Must set value for `output_dir` or `run_config`"),
        ({"output_dir": ""}, "Must specify an output directory"),
        (
            {"output_dir": "a", "run_config": RunConfig(model_dir="a")},
            "Cannot provide both `output_dir` and `run_config`",
        ),
        ({"output_dir": "a", "hparams": HParams()}, "Must set `hparams` as None"),
        ({"run_config": RunConfig()}, "Must specify a model directory `model_dir` in `run_config`"),
        ({"run_config": "a"}, "`run_config` must be `tf.contrib.learn.RunConfig` instance"),
        (
            {"run_config": tf_estimator.RunConfig(model_dir="a")},
            "`run_config` must be `tf.contrib.learn.RunConfig` instance",
        ),
        (
            {"run_config": RunConfig(model_dir="a"), "hparams": {"learning_rate": 0.1}},
            "`hparams` must be `HParams` instance",
        ),
    ],
)
def test_a_missing_or_wrong_argument_is_named(arguments, message):
    def never(*args, **kwargs):
        raise AssertionError

    with pytest.raises(ValueError) as error:
        learn_runner.run(never, **arguments)
    assert message in str(error.value)


def test_what_makes_no_experiment_is_an_error(run_config):
    with pytest.raises(TypeError, match='Experiment builder "experiment_fn" is not callable'):
        learn_runner.run("experiment_fn", run_config=run_config)
    for arguments in ({"run_config": run_config}, {"output_dir": "model"}):
        with pytest.raises(TypeError, match="did not return an Experiment instance"):
            learn_runner.run(lambda *args, **kwargs: "not an Experiment", **arguments)


def test_the_estimator_has_to_have_the_run_config(run_config):
    def with_another(run_config, hparams):
        return RecordingExperiment(run_config.replace(model_dir="another"))

    def without(run_config, hparams):
        return RecordingExperiment(tf_estimator.RunConfig(model_dir="model"))

    def with_a_replaced_one(run_config, hparams):
        return RecordingExperiment(run_config.replace(save_checkpoints_steps=7))

    with pytest.raises(RuntimeError, match="`RunConfig` instance is expected to be used"):
        learn_runner.run(with_another, run_config=run_config)
    with pytest.raises(RuntimeError, match="Pass `run_config` argument of the `experiment_fn`"):
        learn_runner.run(without, run_config=run_config)
    assert learn_runner.run(with_a_replaced_one, None, "train", run_config) == "train"
