"""What other programs give an Experiment: contrib's arguments, params and inputs of any kind."""

import inspect
import json
import os

import numpy as np
import pytest
import tensorflow as tf
from conftest import make_tiny_estimator, read_scalars

from contrib.learn import Experiment, ExportStrategy
from contrib.learn.training import get_latest_step
from contrib.training import HParams


def input_fn():
    return tf.data.Dataset.from_tensors((tf.ones([1]), None)).repeat(3)


def train_input_fn():
    return tf.data.Dataset.from_tensors((tf.ones([1]), None)).repeat()


def make_experiment(model_dir, train_steps=4, eval_input_fn=input_fn, estimator=None, **arguments):
    estimator = estimator or make_tiny_estimator(model_dir)
    return Experiment(
        estimator, train_input_fn, eval_input_fn, None, train_steps, None, **arguments
    )


class Hook(tf.compat.v1.train.SessionRunHook):
    """Adds the name of each of its methods that is called to a list; stops after so many steps."""

    def __init__(self, calls, steps=None):
        self._calls, self._steps = calls, steps

    def begin(self):
        self._calls.append("begin")

    def after_run(self, run_context, run_values):
        self._calls.append("after_run")
        if self._calls.count("after_run") == self._steps:
            run_context.request_stop()

    def end(self, session):
        self._calls.append("end")


def test_the_arguments_are_those_of_contrib():
    parameters = inspect.signature(Experiment).parameters.values()
    contribs = [p for p in parameters if p.kind == inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert [(p.name, p.default) for p in contribs if p.default is not inspect.Parameter.empty] == [
        ("eval_metrics", None),
        ("train_steps", None),
        ("eval_steps", 100),
        ("train_monitors", None),
        ("eval_hooks", None),
        ("local_eval_frequency", None),
        ("eval_delay_secs", 120),
        ("continuous_eval_throttle_secs", 60),
        ("min_eval_frequency", None),
        ("delay_workers_by_global_step", False),
        ("export_strategies", None),
        ("train_steps_per_iteration", None),
        ("checkpoint_and_export", False),
        ("saving_listeners", None),
        ("check_interval_secs", 5),
    ]
    assert [p.name for p in contribs[:3]] == ["estimator", "train_input_fn", "eval_input_fn"]


def test_what_was_given_can_be_read(tmp_path):
    estimator = make_tiny_estimator(tmp_path)
    subject = Experiment(estimator, train_input_fn, input_fn, train_steps=7)
    assert subject.estimator is estimator
    assert (subject.train_steps, subject.eval_steps, subject.eval_metrics) == (7, 100, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eval_metrics": {}}, "`eval_metrics` must be `None` with `tf.estimator.Estimator`"),
        ({"train_steps_per_iteration": "1"}, "`train_steps_per_iteration` must be an integer."),
        ({"export_strategies": ["x"]}, "`export_strategies` must be an ExportStrategy, "),
        ({"export_dir": "x"}, "Experiment: an export_dir needs a serving_input_receiver_fn"),
    ],
)
def test_an_argument_of_a_wrong_type_is_an_error(arguments, message):
    with pytest.raises(ValueError) as error:
        Experiment(None, None, None, **arguments)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        (HParams(rate=0.1, layers=[64, 32]), {"rate": 0.1, "layers": [64, 32]}),
        ({"rate": 0.1, "name": None}, {"rate": 0.1, "name": None}),
        (None, None),
        ({"activation": np.tanh}, None),  # JSON does not hold it
    ],
)
def test_params_may_be_anything(tmp_path, caplog, params, kept):
    caplog.set_level("INFO", logger="absl")
    estimator = make_tiny_estimator(tmp_path, params)
    result, _ = make_experiment(tmp_path, estimator=estimator).train_and_evaluate()
    assert result["global_step"] == 4
    assert (tmp_path / "hparams.json").exists() == (kept is not None)
    if kept:
        assert json.loads((tmp_path / "hparams.json").read_text()) == kept
    told = [message for message in caplog.messages if message.startswith("hyperparameters: ")]
    assert told == ([f"hyperparameters: {json.dumps(kept)}"] if kept else [])


def test_without_train_steps_a_hook_ends_training(tmp_path):
    subject = make_experiment(tmp_path, train_steps=None, train_monitors=[Hook([], steps=3)])
    result, _ = subject.train_and_evaluate()
    assert result["global_step"] == 3


@pytest.mark.parametrize(
    ("min_eval_frequency", "steps"),
    [(None, [2, 4, 6, 7]), (1, [2, 4, 6, 7]), (3, [4, 7]), (5, [6, 7]), (100, [7]), (0, [7])],
)
def test_a_checkpoint_is_evaluated_when_min_eval_frequency_has_passed(
    tmp_path, min_eval_frequency, steps
):
    subject = make_experiment(tmp_path, train_steps=7, min_eval_frequency=min_eval_frequency)
    subject.train_and_evaluate()
    assert list(subject.results) == steps
    assert sorted(read_scalars(tmp_path / "eval", "loss")) == steps


def test_checkpoints_may_be_saved_by_the_clock(tmp_path):
    estimator = make_tiny_estimator(
        tmp_path, save_checkpoints_steps=None, save_checkpoints_secs=1e-9
    )
    subject = make_experiment(tmp_path, train_steps=3, min_eval_frequency=2, estimator=estimator)
    subject.train_and_evaluate()
    assert list(subject.results) == [2, 3]


def test_queues_can_be_evaluated_each_time(tmp_path):
    def queue_input_fn():
        return tf.compat.v1.train.batch([tf.constant(3.0)], 1), None

    subject = make_experiment(tmp_path, eval_input_fn=queue_input_fn)
    subject._eval_steps = 2
    subject.train_and_evaluate()
    assert {step: result["mean"] for step, result in subject.results.items()} == {2: 3, 4: 3}


def test_a_one_shot_iterator_can_be_evaluated_each_time(tmp_path):
    def one_shot_input_fn():
        dataset = tf.data.Dataset.from_tensor_slices([[1.0], [2.0], [6.0]])
        return tf.compat.v1.data.make_one_shot_iterator(dataset).get_next(), None

    subject = make_experiment(tmp_path, eval_input_fn=one_shot_input_fn)
    subject.train_and_evaluate()
    assert {step: result["mean"] for step, result in subject.results.items()} == {2: 3, 4: 3}


def test_hooks_begin_in_each_evaluation(tmp_path):
    calls = []
    subject = make_experiment(tmp_path, eval_hooks=[Hook(calls)])
    subject.train_and_evaluate()
    assert calls == ["begin", *["after_run"] * 3, "end"] * 2


def test_eval_steps_are_the_batches_of_an_evaluation(tmp_path):
    calls = []
    subject = make_experiment(tmp_path, eval_input_fn=train_input_fn, eval_hooks=[Hook(calls)])
    subject._eval_steps = 5
    subject.train_and_evaluate()
    assert calls.count("after_run") == 5 * 2


def test_evaluations_have_contribs_directories(tmp_path):
    subject = make_experiment(tmp_path, eval_delay_secs=0)
    subject.train_and_evaluate()
    subject.evaluate()
    subject.evaluate(name="other")
    assert {path.name for path in tmp_path.glob("eval*")} == {
        *("eval", "eval_one_pass", "eval_other"),
    }


def test_hooks_can_be_added_to_those_of_training(tmp_path):
    calls, given = [], [Hook([])]
    subject = make_experiment(tmp_path, train_steps=2, train_monitors=given)
    subject.extend_train_hooks([Hook(calls)])
    subject.train()
    assert calls == ["begin", "after_run", "after_run", "end"]
    assert len(given) == 1  # the list of the program


def test_train_returns_the_estimator(tmp_path):
    subject = make_experiment(tmp_path)
    assert subject.train() is subject.estimator
    assert subject.results == {}


def test_saving_listeners_hear_of_each_checkpoint(tmp_path):
    class Listener(tf.compat.v1.train.CheckpointSaverListener):
        def after_save(self, session, global_step_value):
            steps.append(int(global_step_value))

    steps = []
    make_experiment(tmp_path, saving_listeners=[Listener()]).train()
    assert steps == [0, 2, 4]


def make_strategy(name, exported):
    def export_fn(estimator, export_dir, checkpoint_path, eval_result):
        step = int(checkpoint_path.rpartition("-")[2])
        exported.append((name, step, eval_result and int(eval_result["global_step"])))
        return export_dir

    return ExportStrategy(name, export_fn)


def test_the_last_checkpoint_is_exported_and_the_paths_are_returned(tmp_path):
    exported = []
    strategies = [make_strategy(name, exported) for name in ("a", "b")]
    subject = make_experiment(tmp_path, export_strategies=strategies)
    result, exports = subject.train_and_evaluate()
    assert result["global_step"] == 4
    assert exports == [f"{tmp_path}/export/a", f"{tmp_path}/export/b"]
    assert exported == [("a", 4, 4), ("b", 4, 4)]


def test_each_checkpoint_may_be_evaluated_and_exported(tmp_path):
    exported = []
    subject = make_experiment(
        tmp_path,
        min_eval_frequency=100,
        export_strategies=make_strategy("a", exported),
        checkpoint_and_export=True,
    )
    subject.train_and_evaluate()
    assert list(subject.results) == [2, 4]
    assert exported == [("a", 2, 2), ("a", 4, 4), ("a", 4, 4)]  # and the last one at the end


def test_export_strategies_can_be_replaced(tmp_path):
    exported = []
    first, second = (make_strategy(name, exported) for name in ("first", "second"))
    subject = make_experiment(tmp_path, export_strategies=first)
    assert subject.reset_export_strategies([second]) == (first,)
    subject.train_and_evaluate()
    assert [name for name, *_ in exported] == ["second"]
    assert subject.reset_export_strategies() == (second,)
    assert subject.train_and_evaluate()[1] == []


@pytest.mark.parametrize(
    ("task_type", "delays", "steps"),
    [("worker", True, [int(8000 * np.log(2))]), ("worker", False, []), ("chief", True, [])],
)
def test_a_worker_may_wait_for_a_global_step(tmp_path, monkeypatch, task_type, delays, steps):
    cluster = {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}
    tf_config = {"cluster": cluster, "task": {"type": task_type, "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config))
    waited, hooks = [], []
    waiter = lambda step: waited.append(step) or "waiter"  # noqa: E731
    monkeypatch.setattr(tf.compat.v1.train, "GlobalStepWaiterHook", waiter)
    monkeypatch.setattr(
        "contrib.learn.experiment.TrainSpec",
        lambda input_fn, steps, train_hooks: hooks.extend(train_hooks),
    )
    monkeypatch.setattr("contrib.learn.cluster.run_task", lambda *args: None)
    make_experiment(tmp_path, delay_workers_by_global_step=delays).train()
    assert waited == steps
    assert ("waiter" in hooks) == bool(steps)


def test_a_schedule_may_be_run_in_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subject = make_experiment("model", estimator=make_tiny_estimator("model"))
    subject.train_and_evaluate()
    assert get_latest_step(subject.estimator) == 4
    assert {"model.ckpt-4.index", "eval", "lock"} <= set(os.listdir("model"))
