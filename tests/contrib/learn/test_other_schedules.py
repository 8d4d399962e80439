import signal

import pytest
import tensorflow as tf
from conftest import make_tiny_estimator, read_scalars

from contrib.learn import Experiment, ExportStrategy, other_schedules
from contrib.learn.training import get_latest_step


def input_fn():
    return tf.data.Dataset.from_tensors((tf.ones([1]), None)).repeat(3)


def train_input_fn():
    return tf.data.Dataset.from_tensors((2 * tf.ones([1]), None)).repeat()


def make_experiment(model_dir, train_steps=4, **arguments):
    return Experiment(
        make_tiny_estimator(model_dir), train_input_fn, input_fn, None, train_steps, **arguments
    )


def make_strategy(exported):
    """An ExportStrategy that puts what it is called with into a list."""

    def export_fn(estimator, export_dir, checkpoint_path, eval_result):
        exported.append((get_step(checkpoint_path), int(eval_result["global_step"])))
        return export_dir

    return ExportStrategy("any", export_fn)


def get_step(checkpoint_path):
    return int(checkpoint_path.rpartition("-")[2])


def evaluated_steps(model_dir, name):
    return sorted(read_scalars(model_dir / f"eval_{name}", "loss"))


class Clock:
    """Stands for the module `time`: sleeping takes no time, and calls a function."""

    def __init__(self):
        self.now, self.slept, self.function = 1e9, [], lambda: None

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        self.function()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(other_schedules, "time", clock)
    return clock


def test_a_test_is_one_step_one_batch_and_an_export(tmp_path):
    exported = []
    subject = make_experiment(tmp_path, export_strategies=make_strategy(exported))
    batches = []
    subject._eval_hooks.append(CountingHook(batches))
    result = subject.test()
    assert (result["global_step"], len(batches), exported) == (1, 1, [(1, 1)])
    assert evaluated_steps(tmp_path, "one_pass") == [1]


class CountingHook(tf.compat.v1.train.SessionRunHook):
    """Adds an entry to a list for each batch."""

    def __init__(self, batches):
        self._batches = batches

    def before_run(self, run_context):
        self._batches.append(True)


def test_continuous_train_and_eval_takes_turns_to_the_last_step(tmp_path):
    exported = []
    subject = make_experiment(
        tmp_path,
        train_steps=5,
        train_steps_per_iteration=2,
        export_strategies=make_strategy(exported),
    )
    result, exports = subject.continuous_train_and_eval()
    assert list(subject.results) == [2, 4, 6]
    assert (result["global_step"], exports) == (6, [f"{tmp_path}/export/any"])
    assert exported == [(6, 6)]
    assert evaluated_steps(tmp_path, "one_pass") == [2, 4, 6]


def test_continuous_train_and_eval_trains_a_tenth_by_default(tmp_path):
    subject = make_experiment(tmp_path, train_steps=20)
    subject.continuous_train_and_eval(lambda result: result is None)
    assert list(subject.results) == [2]


def test_a_predicate_sees_each_result_and_ends_the_turns(tmp_path):
    seen = []

    def predicate(result):
        seen.append(result and int(result["global_step"]))
        return len(seen) < 3

    subject = make_experiment(tmp_path, train_steps=100, train_steps_per_iteration=2)
    result, _ = subject.continuous_train_and_eval(continuous_eval_predicate_fn=predicate)
    assert (seen, result["global_step"]) == ([None, 2, 4], 4)


def test_a_predicate_may_take_the_checkpoint(tmp_path):
    seen = []

    def predicate(result, checkpoint_path):
        seen.append(checkpoint_path and get_step(checkpoint_path))
        return len(seen) < 2

    subject = make_experiment(tmp_path, train_steps=100, train_steps_per_iteration=2)
    subject.continuous_train_and_eval(predicate)
    assert seen == [None, 2]


def test_a_signal_ends_the_turns(tmp_path):
    subject = make_experiment(tmp_path, train_steps=100, train_steps_per_iteration=2)
    subject._eval_hooks.append(SignalHook())
    with pytest.raises(KeyboardInterrupt):
        subject.continuous_train_and_eval()
    assert list(subject.results) == [2]
    assert get_latest_step(subject.estimator) == 2


class SignalHook(tf.compat.v1.train.SessionRunHook):
    def end(self, session):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("schedule", ["continuous_train_and_eval", "continuous_eval"])
def test_a_predicate_has_to_be_a_function(tmp_path, schedule):
    with pytest.raises(ValueError, match="`continuous_eval_predicate_fn` must be a callable"):
        getattr(make_experiment(tmp_path), schedule)(continuous_eval_predicate_fn=True)


def test_continuous_eval_evaluates_and_exports_each_new_checkpoint(tmp_path, clock):
    exported = []
    make_experiment(tmp_path, train_steps=2).train()
    subject = make_experiment(tmp_path, export_strategies=make_strategy(exported))
    clock.function = make_experiment(tmp_path, train_steps=4).train
    assert subject.continuous_eval(delay_secs=0) is None
    assert exported == [(2, 2), (4, 4)]
    assert evaluated_steps(tmp_path, "continuous") == [2, 4]
    assert clock.slept == [60]  # not after the last one


def test_continuous_eval_waits_as_it_was_told(tmp_path, clock):
    make_experiment(tmp_path, train_steps=2).train()
    arguments = {"eval_delay_secs": 7, "continuous_eval_throttle_secs": 11}
    subject = make_experiment(tmp_path, **arguments)
    clock.function = lambda: len(clock.slept) == 2 and make_experiment(tmp_path).train()
    subject.continuous_eval()
    assert clock.slept == [7, 11]
    clock.slept.clear()
    subject = make_experiment(tmp_path, train_steps=6, **arguments)
    clock.function = lambda: len(clock.slept) == 2 and make_experiment(tmp_path, 6).train()
    subject.continuous_eval(delay_secs=1, throttle_delay_secs=3, name="other")
    assert clock.slept == [1, 3]
    assert evaluated_steps(tmp_path, "other") == [4, 6]


def test_continuous_eval_may_evaluate_a_checkpoint_again(tmp_path, clock):
    make_experiment(tmp_path, train_steps=2).train()
    subject, seen = make_experiment(tmp_path), []

    def predicate(result, checkpoint_path):
        seen.append(result and int(result["global_step"]))
        return len(seen) < 3

    subject.continuous_eval(0, 1, False, predicate)
    assert seen == [None, 2, 2]


def test_a_predicate_of_continuous_eval_sees_that_there_is_no_new_checkpoint(tmp_path, clock):
    seen = []

    def predicate(result, checkpoint_path):
        seen.append((result and int(result["global_step"]), checkpoint_path and True))
        return len(seen) < 4

    clock.function = lambda: len(clock.slept) == 1 and make_experiment(tmp_path, 2).train()
    make_experiment(tmp_path).continuous_eval(0, 1, continuous_eval_predicate_fn=predicate)
    assert seen == [(None, None), ({}, None), (2, True), ({}, True)]


def test_a_wait_for_a_checkpoint_is_told_every_ten_minutes(tmp_path, clock, caplog):
    clock.function = lambda: len(clock.slept) == 12 and make_experiment(tmp_path).train()
    make_experiment(tmp_path).continuous_eval(delay_secs=0, throttle_delay_secs=100)
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    texts = [record.getMessage() for record in warnings if record.name == "absl"]
    assert texts == [f"{tmp_path} has no new checkpoint; waiting for one"] * 2


def test_training_data_may_be_evaluated_continuously(tmp_path, clock):
    exported = []
    make_experiment(tmp_path).train()
    subject = make_experiment(tmp_path, export_strategies=make_strategy(exported), eval_steps=2)
    subject.continuous_eval_on_train_data(delay_secs=0)
    name = "continuous_on_train_data"
    assert evaluated_steps(tmp_path, name) == [4]
    assert read_scalars(tmp_path / f"eval_{name}", "mean") == {4: 2}  # not 1, as in evaluations
    assert exported == []


@pytest.mark.parametrize(("frequency", "steps"), [(2, [2, 4]), (3, [4]), (None, [4])])
def test_a_local_run_evaluates_as_often_as_it_was_told(tmp_path, frequency, steps):
    subject = make_experiment(tmp_path, local_eval_frequency=frequency, min_eval_frequency=1)
    result, exports = subject.local_run()
    assert list(subject.results) == steps
    assert (result["global_step"], exports) == (4, [])


def test_a_parameter_server_needs_a_cluster(tmp_path):
    with pytest.raises(ValueError, match="set the TF_CONFIG environment variable"):
        make_experiment(tmp_path).run_std_server()


def test_a_parameter_server_does_its_task(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "TF_CONFIG",
        '{"cluster": {"chief": ["a:1"], "ps": ["c:1"]}, "task": {"type": "ps", "index": 0}}',
    )
    tasks = []
    run_task = lambda estimator, *args: tasks.append(estimator.config.task_type)  # noqa: E731
    monkeypatch.setattr("contrib.learn.cluster.run_task", run_task)
    assert make_experiment(tmp_path).run_std_server() is None
    assert tasks == ["ps"]


def test_a_delay_is_waited_for_and_told(tmp_path, clock, caplog):
    caplog.set_level("INFO", logger="absl")
    subject = make_experiment(tmp_path, eval_delay_secs=3)
    subject.train(delay_secs=5)
    subject.evaluate()
    subject.evaluate(delay_secs=1)
    subject.evaluate(delay_secs=0)
    assert clock.slept == [5, 3, 1]
    assert "waiting 5 seconds" in caplog.messages
