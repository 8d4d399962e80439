from contrib.learn.datasets import mnist
import contextlib
import errno
import json
import os
import pathlib
import shutil
import signal
import types

import numpy as np
import pytest
import tensorflow as tf
from conftest import first_batch, read_scalars

from contrib.learn import experiment as experiment_module
import inputs
import mnist_estimator
from contrib.learn import directories
from contrib.learn.errors import UserError
from contrib.learn import Evaluation, Experiment, RunConfig
from contrib.learn.training import get_hooks, get_latest_step
from contrib.learn.training_hooks import EvaluationListener, StopHook
from mnist_estimator import get_hparams
from contrib.learn.checkpoints import find_whole_checkpoint
from contrib.learn.directories import lock
from tf_estimator import Estimator, EstimatorSpec, ModeKeys


def experiment(model_dir, seed=None, export_dir=None, **hparams):
    """The Experiment on the bundled data, evaluated on images of the validation split."""
    params = get_hparams(**hparams)
    run_config = RunConfig(
        model_dir=str(model_dir),
        tf_random_seed=seed,
        save_checkpoints_steps=params.min_eval_frequency,
    )
    return mnist_estimator.experiment_fn(
        run_config,
        params,
        mnist.BUNDLED_DATA_DIR,
        eval_split="validation",
        export_dir=export_dir,
    )


@pytest.fixture(autouse=True)
def read_once(monkeypatch, mnist_data):
    """Spares each Experiment the reading, and most of the evaluation."""
    validation = mnist.DataSet(*(array[:1000] for array in mnist_data.validation))
    data_sets = mnist_data._replace(validation=validation)
    monkeypatch.setattr(mnist, "read_data_sets", lambda *args: data_sets)


def tiny(model_dir, seed=None, export_dir=None, evaluation=Evaluation, **hparams):
    """An Experiment whose model is a few numbers that go to zero, so that it takes no time."""

    def input_fn():
        return tf.ones([2, 28, 28]), tf.zeros([2], tf.int64)

    def model_fn(features, labels, mode, params):
        weights = tf.compat.v1.get_variable("weights", initializer=tf.ones([params.n_classes]))
        loss = tf.reduce_mean(weights**2)
        optimizer = tf.compat.v1.train.GradientDescentOptimizer(params.learning_rate)
        return EstimatorSpec(
            mode,
            predictions={"loss": loss},
            loss=loss,
            train_op=optimizer.minimize(loss, tf.compat.v1.train.get_global_step()),
            eval_metric_ops={"Accuracy": tf.compat.v1.metrics.accuracy([1, 1], [1, 1])},
        )

    params = get_hparams(**hparams)
    run_config = RunConfig(
        model_dir=str(model_dir),
        tf_random_seed=seed,
        save_checkpoints_steps=params.min_eval_frequency,
    )
    return Experiment(
        Estimator(model_fn, config=run_config, params=params),
        train_input_fn=input_fn,
        eval_input_fn=input_fn,
        train_steps=params.train_steps,
        eval_steps=1,
        eval_delay_secs=0,
        min_eval_frequency=params.min_eval_frequency,
        evaluation=evaluation,
        eval_name="validation",
        serving_input_receiver_fn=inputs.serving_input_receiver_fn,
        export_dir=export_dir,
    )


class CallingHook(tf.compat.v1.train.SessionRunHook):
    """Calls a function before each step."""

    def __init__(self, function):
        self._function = function

    def before_run(self, run_context):
        self._function()


def scalars(events_dir):
    """{tag: steps} of the scalars in the event files of a directory, in the order of writing."""
    steps = {}
    for path in sorted(pathlib.Path(events_dir).glob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    steps.setdefault(value.tag, []).append(event.step)
    return steps


def has_graph(events_dir):
    paths = pathlib.Path(events_dir).glob("events.out.tfevents.*")
    return any(
        event.graph_def
        for path in paths
        for event in tf.compat.v1.train.summary_iterator(str(path))
    )


def test_experiment_carries_what_the_blog_lists(tmp_path):
    subject = experiment(tmp_path, train_steps=7, min_eval_frequency=3)
    assert subject.estimator.model_dir == str(tmp_path)
    assert callable(subject._train_input_fn)
    assert callable(subject._eval_input_fn)
    assert subject._train_monitors
    assert subject._eval_hooks
    assert (subject.train_steps, subject.eval_steps, subject._min_eval_frequency) == (7, None, 3)


def test_augmentation_is_of_the_training_images_only(tmp_path, mnist_data):
    subject = experiment(tmp_path, augmentation="elastic")

    trained_on, _ = first_batch(subject._train_input_fn, subject._train_monitors)
    evaluated, _ = first_batch(subject._eval_input_fn, subject._eval_hooks)

    def as_set(images):
        return {image.tobytes() for image in images}

    assert not as_set(trained_on) & as_set(mnist_data.train.images)
    assert as_set(evaluated) <= as_set(mnist_data.validation.images)


def test_evaluates_at_every_min_eval_frequency_steps_and_at_the_end(tmp_path):
    subject = tiny(tmp_path, train_steps=10, min_eval_frequency=4)
    result, _ = subject.train_and_evaluate()
    assert list(subject.results) == [4, 8, 10]
    assert result == subject.results[10]
    assert scalars(tmp_path / "eval_validation")["Accuracy"] == [4, 8, 10]


def test_an_evaluation_that_fails_beside_training_ends_it_with_a_line(tmp_path):
    subject = tiny(tmp_path, train_steps=40, min_eval_frequency=10)

    class FullDiskHook(tf.compat.v1.train.SessionRunHook):
        def end(self, session):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "events")

    subject._eval_hooks.append(FullDiskHook())
    with pytest.raises(UserError, match=r"^events: No space left on device; earlier checkpoints"):
        subject.train_and_evaluate()
    assert get_latest_step(subject.estimator) == 20


def test_a_run_that_has_reached_train_steps_is_evaluated(tmp_path):
    tiny(tmp_path, train_steps=5).train()
    subject = tiny(tmp_path, train_steps=5)
    assert subject.train_and_evaluate()[0]["global_step"] == 5
    assert list(subject.results) == [5]


def test_a_larger_train_steps_goes_on_from_the_last_checkpoint(tmp_path):
    tiny(tmp_path, train_steps=5, min_eval_frequency=4).train_and_evaluate()
    subject = tiny(tmp_path, train_steps=12, min_eval_frequency=4)
    subject.train_and_evaluate()
    assert list(subject.results) == [5, 8, 12]


def test_train_does_not_evaluate(tmp_path):
    subject = tiny(tmp_path, train_steps=5, min_eval_frequency=2)
    subject.train()
    assert subject.results == {}
    assert "Accuracy" not in scalars(tmp_path / "eval_validation")


def test_evaluate_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(UserError, match="has no checkpoint yet; train first"):
        tiny(tmp_path).evaluate()


def test_evaluation_of_the_2017_checkpoint(model_dir_2017):
    run_config = RunConfig(model_dir=str(model_dir_2017))
    subject = mnist_estimator.experiment_fn(run_config, get_hparams(), mnist.BUNDLED_DATA_DIR)
    assert subject.evaluate()["Accuracy"] == np.float32(0.9912)


def test_training_goes_on_from_the_2017_checkpoint_with_adams_state(model_dir_2017):
    def second_moment():
        name = "OptimizeLoss/MnistConvNet/fn5/weights/Adam_1"
        return tf.train.load_variable(str(model_dir_2017), name)

    before = second_moment()
    subject = experiment(model_dir_2017, train_steps=1001)
    result, _ = subject.train_and_evaluate()
    assert list(subject.results) == [1000, 1001]
    assert result["Accuracy"] > 0.985
    # One step keeps 0.999 of the second moment and adds 0.001 of the gradient's square.
    np.testing.assert_array_less(0.9989 * before, second_moment() + 1e-30)
    assert np.median(second_moment() / np.maximum(before, 1e-30)) < 1.1


def test_one_seed_with_the_same_stop_gives_one_result_bit_for_bit(tmp_path):
    results = []
    for name in ("a", "b"):
        experiment(tmp_path / name, seed=3, train_steps=10).train()
        subject = experiment(tmp_path / name, seed=3, train_steps=20)
        results.append(subject.train_and_evaluate()[0])
    assert results[0] == results[1]
    for name, _ in tf.train.list_variables(str(tmp_path / "a")):
        values = [tf.train.load_variable(str(tmp_path / run), name) for run in ("a", "b")]
        np.testing.assert_array_equal(*values)


def first_images(subject):
    """The first batch of a training session that begins now."""
    images = []

    class Recorder(tf.compat.v1.train.SessionRunHook):
        def begin(self):
            # The Estimator has made the graph, the model is not there yet.
            operations = tf.compat.v1.get_default_graph().get_operations()
            self.batch = next(op for op in operations if op.type == "IteratorGetNext").outputs[0]

        def before_run(self, run_context):
            return tf.compat.v1.train.SessionRunArgs(self.batch)

        def after_run(self, run_context, run_values):
            images.append(run_values.results)

    subject._train_monitors.append(Recorder())
    subject.train()
    return images[0]


def test_a_seeded_run_that_goes_on_sees_fresh_batches(tmp_path):
    start = first_images(experiment(tmp_path / "a", seed=3, train_steps=2))
    same_start = first_images(experiment(tmp_path / "b", seed=3, train_steps=2))
    resumed = first_images(experiment(tmp_path / "a", seed=3, train_steps=4))
    np.testing.assert_array_equal(start, same_start)
    assert (start != resumed).any()


def test_validation_has_its_own_evaluation_directory(tmp_path):
    subject = experiment(tmp_path, train_steps=2)
    subject.train_and_evaluate()
    assert scalars(tmp_path / "eval_validation")["Accuracy"] == [2]
    assert not (tmp_path / "eval").exists()


def test_a_resume_logs_which_hyperparameters_changed(tmp_path, caplog):
    tiny(tmp_path, train_steps=2).train()
    caplog.set_level("INFO", logger="absl")
    tiny(tmp_path, train_steps=3, learning_rate=0.01).train()
    assert [message for message in caplog.messages if "from here on" in message] == [
        "learning_rate is 0.01 from here on, it was 0.002",
        "train_steps is 3 from here on, it was 2",
    ]


def test_a_first_run_logs_no_change(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    tiny(tmp_path, train_steps=1, learning_rate=0.01).train()
    assert not [message for message in caplog.messages if "from here on" in message]


def test_damaged_hyperparameters_are_written_anew(tmp_path):
    tiny(tmp_path, train_steps=2).train()
    (tmp_path / "hparams.json").write_text("")
    tiny(tmp_path, train_steps=3).train()
    assert (
        json.loads((tmp_path / "hparams.json").read_text()) == get_hparams(train_steps=3).values()
    )


def test_hyperparameters_stay_if_nothing_is_left_to_train(tmp_path, caplog):
    tiny(tmp_path, train_steps=2).train()
    before = (tmp_path / "hparams.json").read_text()
    caplog.set_level("INFO", logger="absl")
    assert get_latest_step(tiny(tmp_path, train_steps=1, learning_rate=0.01).train()) == 2
    assert (tmp_path / "hparams.json").read_text() == before
    assert caplog.messages[-1] == (
        f"{tmp_path} is at step 2 already, train_steps is 1: nothing left to train"
    )


def test_files_of_a_model_dir(tmp_path):
    tiny(tmp_path, train_steps=6, min_eval_frequency=4).train_and_evaluate()
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith("events.out.")}
    parts = ("index", "data-00000-of-00001")
    checkpoints = {f"model.ckpt-{step}.{part}" for step in (0, 4, 6) for part in parts}
    assert names == checkpoints | {
        *("checkpoint", "eval_validation", "hparams.json", "lock", "lock_holder")
    }


def test_one_experiment_may_run_several_schedules(tmp_path):
    subject = experiment(tmp_path, train_steps=2)
    result, _ = subject.train_and_evaluate()
    assert subject.evaluate() == subject.evaluate() == result


@pytest.mark.parametrize("removed", ["model", "model/*", "model/eval_validation"])
def test_what_was_removed_from_a_model_dir_is_made_anew(tmp_path, removed):
    for train_steps in (3, 6):
        result, _ = tiny(tmp_path / "model", train_steps=train_steps).train_and_evaluate()
        assert result["global_step"] == train_steps
        assert scalars(tmp_path / "model")
        assert scalars(tmp_path / "model" / "eval_validation")
        for path in tmp_path.glob(removed):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_run_leaves_the_curves_of_another_alone(tmp_path):
    tiny(tmp_path / "first", train_steps=3).train()
    writer = tf.compat.v1.summary.FileWriterCache.get(str(tmp_path / "first"))
    tiny(tmp_path / "second", train_steps=3).train()
    summary = tf.compat.v1.Summary()
    summary.value.add(tag="later", simple_value=0.5)
    writer.add_summary(summary, 7)
    writer.flush()
    assert read_scalars(tmp_path / "first", "later") == {7: 0.5}


def test_inputs_may_be_datasets(tmp_path):
    def input_fn():
        images, labels = tf.ones([4, 28, 28]), tf.zeros([4], tf.int64)
        return tf.data.Dataset.from_tensor_slices((images, labels)).batch(2)

    subject = tiny(tmp_path, train_steps=2, min_eval_frequency=1)
    subject._train_input_fn = subject._eval_input_fn = input_fn
    subject.train_and_evaluate()
    assert list(subject.results) == [1, 2]
    assert subject.evaluate()["global_step"] == 2


def test_an_export_needs_a_directory_and_its_inputs(tmp_path):
    with pytest.raises(ValueError, match="export needs an export_dir"):
        tiny(tmp_path).export()
    with pytest.raises(ValueError, match="an export_dir needs a serving_input_receiver_fn"):
        Experiment(None, None, None, export_dir="export")


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="there is no /sys")
def test_events_that_cannot_be_written_are_told_before_training(tmp_path):
    experiment(tmp_path, train_steps=1).train()
    shutil.rmtree(tmp_path / "eval_validation")
    (tmp_path / "eval_validation").symlink_to("/sys/kernel")
    subject = experiment(tmp_path, train_steps=2)
    for schedule in (subject.train_and_evaluate, subject.evaluate):
        with pytest.raises(UserError, match=r"eval_validation/events.*: Permission denied; "):
            schedule()
    assert get_latest_step(subject.estimator) == 1


def test_one_checkpoint_may_be_kept(tmp_path):
    subject = tiny(tmp_path, train_steps=9, min_eval_frequency=1)
    config = subject.estimator.config.replace(keep_checkpoint_max=1)
    subject._estimator = Estimator(subject.estimator._model_fn, config=config, params=get_hparams())
    subject.train_and_evaluate()
    assert list(subject.results) == list(range(1, 10))


def test_training_goes_on_with_partitioned_variables(tmp_path):
    def model_fn(features, labels, mode, params):
        with tf.compat.v1.variable_scope("", partitioner=tf.compat.v1.fixed_size_partitioner(2)):
            weights = tf.convert_to_tensor(tf.compat.v1.get_variable("weights", [10]))
        loss = tf.reduce_mean(weights**2)
        optimizer = tf.compat.v1.train.AdamOptimizer()
        train_op = optimizer.minimize(loss, tf.compat.v1.train.get_global_step())
        return EstimatorSpec(mode, loss=loss, train_op=train_op)

    for step in (1, 2):
        subject = tiny(tmp_path, train_steps=step)
        subject.estimator._model_fn = model_fn
        assert get_latest_step(subject.train()) == step


def test_metrics_are_logged_by_their_names(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    subject = tiny(tmp_path, train_steps=1)
    subject.train()
    tiny_model_fn = subject.estimator._model_fn

    def model_fn(features, labels, mode, params):
        spec = tiny_model_fn(features, labels, mode, params)
        metrics = {"AUC": spec.eval_metric_ops["Accuracy"]}
        metrics["found"] = tf.compat.v1.metrics.mean_tensor(tf.constant([1, 2]))
        return spec._replace(eval_metric_ops=metrics)

    subject.estimator._model_fn = model_fn
    subject.evaluate()
    assert "evaluation at step 1: auc 1.0000, loss " in caplog.messages[-1]
    assert "found" not in caplog.messages[-1]


def test_train_returns_its_last_step(tmp_path):
    assert get_latest_step(tiny(tmp_path, train_steps=3).train()) == 3


def test_an_export_dir_that_cannot_be_used_is_found_before_training(tmp_path):
    (tmp_path / "file").touch()
    subject = tiny(tmp_path / "model", export_dir=str(tmp_path / "file"), train_steps=2)
    with pytest.raises(UserError, match=f"--export_dir {tmp_path}/file is a file"):
        subject.train()
    assert not list((tmp_path / "model").glob("model.ckpt*"))


def test_training_exports_when_it_ends(tmp_path):
    subject = experiment(tmp_path / "model", export_dir=str(tmp_path / "export"), train_steps=2)
    subject.train_and_evaluate()
    [path] = (tmp_path / "export").iterdir()
    assert (path / "saved_model.pb").exists()


def test_a_run_that_was_stopped_is_not_exported(tmp_path):
    subject = tiny(tmp_path / "model", export_dir=str(tmp_path / "export"), train_steps=9)
    subject._train_monitors.append(CallingHook(lambda: signal.raise_signal(signal.SIGINT)))
    before = signal.signal(signal.SIGINT, lambda number, frame: None)  # a program's own
    try:
        subject.train_and_evaluate()
    finally:
        signal.signal(signal.SIGINT, before)
    assert get_latest_step(subject.estimator) == 1
    assert list((tmp_path / "export").iterdir()) == []


def test_an_export_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    subject = experiment(tmp_path / "model", export_dir=str(tmp_path / "export"), train_steps=1)
    subject.train()
    [whole] = (tmp_path / "export").iterdir()

    def export_saved_model(export_dir, *args, **kwargs):
        (pathlib.Path(export_dir) / "temp-1" / "variables").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(subject.estimator, "export_saved_model", export_saved_model)
    with pytest.raises(KeyboardInterrupt):
        subject.export()
    assert list((tmp_path / "export").iterdir()) == [whole]


def test_an_export_that_is_interrupted_at_its_start_leaves_nothing(tmp_path, monkeypatch):
    subject = tiny(tmp_path / "model", export_dir=str(tmp_path / "export"))

    def find_whole_checkpoint(model_dir):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment_module, "find_whole_checkpoint", find_whole_checkpoint)
    with pytest.raises(KeyboardInterrupt):
        subject.export()
    assert list((tmp_path / "export").iterdir()) == []


def test_directories_of_tensorflows_file_systems(tmp_path):
    url = f"file://{tmp_path}"
    subject = experiment(f"{url}/model", export_dir=f"{url}/export", train_steps=3)
    assert subject.train_and_evaluate()[0]["global_step"] == 3
    again = experiment(f"{url}/model", export_dir=f"{url}/export", train_steps=5)
    assert again.train_and_evaluate()[0]["global_step"] == 5
    assert (tmp_path / "model" / "model.ckpt-5.index").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"model", "export"}
    assert find_whole_checkpoint(f"{url}/model") == f"{url}/model/model.ckpt-5"


def step_counter(subject):
    """A list that gets an entry for each training step."""
    steps = []
    subject._train_monitors.append(CallingHook(lambda: steps.append(len(steps) + 1)))
    return steps


def test_a_signal_during_an_evaluation_stops_training_and_keeps_both(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    subject = tiny(tmp_path, train_steps=1100, min_eval_frequency=4)
    steps = step_counter(subject)
    subject._eval_hooks.append(CallingHook(lambda: signal.raise_signal(signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        subject.train_and_evaluate()
    assert (
        len(steps) == get_latest_step(subject.estimator) <= 8
    )  # it waits there for the evaluation of step 4
    assert list(subject.results) == [4]
    stopped = f"stopped at step {len(steps)} of 1,100"
    assert caplog.messages[-1] == f"{stopped}; to go on, run the same command again"


def test_a_signal_between_evaluations_saves_without_one(tmp_path):
    subject = tiny(tmp_path, train_steps=10, export_dir=str(tmp_path / "export"))
    steps = step_counter(subject)
    subject.estimator.export_saved_model = pytest.fail
    subject._train_monitors.append(
        CallingHook(lambda: len(steps) == 3 and signal.raise_signal(signal.SIGINT))
    )
    with pytest.raises(KeyboardInterrupt):
        subject.train_and_evaluate()
    assert (get_latest_step(subject.estimator), subject.results) == (3, {})


def test_the_other_hooks_have_seen_a_step_when_it_is_saved(tmp_path, monkeypatch):
    subject = tiny(tmp_path, train_steps=8, min_eval_frequency=4)
    seen, seen_at_saves = [], []

    class SeeingHook(tf.compat.v1.train.SessionRunHook):
        def after_run(self, run_context, run_values):
            seen.append(True)

    subject._train_monitors.append(SeeingHook())

    def after_save(self, session, global_step_value):
        seen_at_saves.append(len(seen))

    monkeypatch.setattr(EvaluationListener, "after_save", after_save)
    subject.train_and_evaluate()
    assert seen_at_saves == [0, 4, 8]


def test_hooks_of_training_in_their_order(tmp_path):
    subject = experiment(tmp_path)
    hooks = get_hooks(subject.estimator, subject._train_monitors, [], subject._stop_hook)
    assert [type(hook).__name__ for hook in hooks] == [
        "CheckpointCheckHook",
        "IteratorInitializerHook",
        "ProgressHook",
        "RunSummaryHook",
        "AlignedCheckpointSaverHook",
        "StopHook",
    ]


def test_weights_that_are_not_finite_are_seen_before_any_listener_sees_them(tmp_path):
    class Listener(tf.compat.v1.train.CheckpointSaverListener):
        def before_save(self, session, global_step_value):
            pytest.fail("is asked before the guard")

    with tf.Graph().as_default():
        tf.compat.v1.train.create_global_step()
        tf.compat.v1.get_variable("weights", initializer=float("nan"))
        hooks = get_hooks(tiny(tmp_path).estimator, [], [Listener()], StopHook())
        with pytest.raises(tf.compat.v1.train.NanLossDuringTrainingError):
            tf.compat.v1.train.MonitoredSession(hooks=hooks)
    assert not list(tmp_path.glob("model.ckpt*"))


def test_lines_of_a_run_that_goes_on(tmp_path, caplog, monkeypatch):
    moments = iter(range(100))
    clock = types.SimpleNamespace(monotonic=lambda: 1.5 * next(moments))
    monkeypatch.setattr(experiment_module, "time", clock)
    tiny(tmp_path, train_steps=1200, min_eval_frequency=1000).train()
    caplog.set_level("INFO", logger="absl")
    subject = tiny(tmp_path, train_steps=2000, min_eval_frequency=1000, learning_rate=0.001)
    subject.train_and_evaluate()
    subject.train_and_evaluate()
    loss = subject.results[2000]["loss"]
    assert loss == pytest.approx((1 - 2e-4 * 2) ** 2400 * (1 - 1e-4 * 2) ** 1600, rel=1e-3)
    hyperparameters = f"hyperparameters: {subject.estimator.params.to_json()}"
    lines = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert lines == [
        hyperparameters,
        f"going on from step 1,200 of {tmp_path}",
        "learning_rate is 0.001 from here on, it was 0.002",
        "train_steps is 2000 from here on, it was 1200",
        f"evaluation at step 1,200: accuracy 1.0000, loss {(1 - 4e-4) ** 2400:.4f}, in 1.50 s",
        f"evaluation at step 2,000: accuracy 1.0000, loss {loss:.4f}, in 1.50 s",
        hyperparameters,
        f"{tmp_path} is at step 2,000 already, train_steps is 2,000: nothing left to train",
        f"evaluation at step 2,000: accuracy 1.0000, loss {loss:.4f}, in 1.50 s",
    ]


def test_eval_steps_are_the_batches_of_an_evaluation(tmp_path):
    tiny(tmp_path, train_steps=1).train()
    subject = tiny(tmp_path)
    batches = []
    subject._eval_steps = 3
    subject._eval_hooks.append(CallingHook(lambda: batches.append(True)))
    subject.evaluate()
    assert len(batches) == 3


def test_while_it_trains_it_has_the_directory_and_its_hyperparameters(tmp_path):
    subject = tiny(tmp_path, train_steps=1, n_classes=47)
    seen = []

    def look():
        with pytest.raises(UserError, match=f"process {os.getpid()} on"):
            lock(str(tmp_path)).__enter__()
        seen.append(json.loads((tmp_path / "hparams.json").read_text())["n_classes"])

    subject._train_monitors.append(CallingHook(look))
    subject.train()
    assert seen == [47]
    with lock(str(tmp_path)):  # it is free again
        assert subject.evaluate()["global_step"] == 1


def read_files(model_dir):
    """{name: content} of the files, but for events: TensorFlow makes their file very early."""
    files = [path for path in model_dir.rglob("*") if path.is_file()]
    return {path.name: path.read_bytes() for path in files if "tfevents" not in path.name}


@pytest.mark.parametrize("mistake", ["another model", "export_dir", "second training"])
def test_a_users_mistake_writes_nothing(tmp_path, mistake):
    model_dir = tmp_path / "model"
    tiny(model_dir, train_steps=1).train()
    before = read_files(model_dir)
    (tmp_path / "file").touch()
    subject = tiny(
        model_dir,
        train_steps=3,
        n_classes=47 if mistake == "another model" else 10,
        learning_rate=0.1,
        export_dir=str(tmp_path / "file") if mistake == "export_dir" else None,
    )
    holder = lock(str(model_dir)) if mistake == "second training" else contextlib.nullcontext()
    with holder, pytest.raises(UserError):
        subject.train_and_evaluate()
    assert read_files(model_dir) == before


def test_training_goes_on_from_the_last_whole_checkpoint(tmp_path):
    tiny(tmp_path, train_steps=6, min_eval_frequency=3).train()
    (tmp_path / "model.ckpt-6.index").write_bytes(b"")
    assert tiny(tmp_path).evaluate()["global_step"] == 3
    subject = tiny(tmp_path, train_steps=5)
    steps = step_counter(subject)
    assert get_latest_step(subject.train()) == 5
    assert len(steps) == 2
    assert (tmp_path / "damaged" / "model.ckpt-6.index").exists()


def test_a_full_disk_is_a_line(tmp_path, monkeypatch):
    subject = tiny(tmp_path, train_steps=1)
    subject.train()
    usage = types.SimpleNamespace(free=0)
    monkeypatch.setattr(directories.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=f"{tmp_path}/eval_validation: No space left on device; "):
        subject.evaluate()


@pytest.mark.parametrize("schedule", ["train", "train_and_evaluate", "export"])
def test_the_last_checkpoint_is_exported(tmp_path, monkeypatch, caplog, schedule):
    caplog.set_level("INFO", logger="absl")
    export_dir = str(tmp_path / "export")
    tiny(tmp_path / "model", train_steps=2).train()
    subject = tiny(tmp_path / "model", train_steps=3, export_dir=export_dir)
    exported = []

    def export_saved_model(directory, serving_input_receiver_fn, checkpoint_path):
        exported.append((serving_input_receiver_fn, checkpoint_path))
        (pathlib.Path(directory) / "17").mkdir(parents=True)
        return f"{directory}/17".encode()

    monkeypatch.setattr(subject.estimator, "export_saved_model", export_saved_model)
    path = getattr(subject, schedule)()
    checkpoint = f"{tmp_path}/model/model.ckpt-{2 if schedule == 'export' else 3}"
    assert exported == [(inputs.serving_input_receiver_fn, checkpoint)]
    assert caplog.messages[-1] == f"exported to {export_dir}/17"
    assert path == f"{export_dir}/17" or schedule != "export"
    assert os.listdir(export_dir) == ["17"]


def test_an_export_in_the_second_of_another_gets_the_next_name(tmp_path, monkeypatch):
    (tmp_path / "export" / "17").mkdir(parents=True)
    subject = tiny(tmp_path / "model", train_steps=2, export_dir=str(tmp_path / "export"))

    def export_saved_model(directory, *args, **kwargs):
        (pathlib.Path(directory) / "17" / "variables").mkdir(parents=True)
        return f"{directory}/17".encode()

    monkeypatch.setattr(subject.estimator, "export_saved_model", export_saved_model)
    subject.train()
    assert os.listdir(tmp_path / "export" / "18") == ["variables"]


def test_an_export_needs_no_data(model_dir_2017, tmp_path):
    run_config = RunConfig(model_dir=str(model_dir_2017))
    export_dir = str(tmp_path / "export")
    subject = mnist_estimator.export_experiment_fn(run_config, get_hparams(), export_dir)
    assert os.path.exists(f"{subject.export()}/saved_model.pb")


@pytest.mark.parametrize("schedule", ["train", "train_and_evaluate", "export"])
def test_an_export_that_finds_no_room_is_a_line(tmp_path, monkeypatch, schedule):
    tiny(tmp_path / "model", train_steps=2).train()
    export_dir = tmp_path / "export"
    subject = tiny(tmp_path / "model", train_steps=3, export_dir=str(export_dir))

    def export_saved_model(*args, **kwargs):
        raise RuntimeError(f"{export_dir}/temp-1/variables; No space left on device")

    monkeypatch.setattr(subject.estimator, "export_saved_model", export_saved_model)
    with pytest.raises(UserError, match=f"^{export_dir}/temp-1/variables: No space left on dev"):
        getattr(subject, schedule)()


def test_the_seed_of_the_data_moves_on_with_the_step(tmp_path):
    def seed_of_training(seed, train_steps):
        subject = tiny(tmp_path / str(seed), seed=seed, train_steps=train_steps)
        seeds, train_input_fn = [], subject._train_input_fn

        def keep_seed():
            seeds.append(tf.compat.v1.get_seed(None)[0])
            return train_input_fn()

        subject._train_input_fn = keep_seed
        subject.train()
        return seeds[-1]

    assert [seed_of_training(3, train_steps) for train_steps in (5, 6)] == [3, 8]
    assert [seed_of_training(None, train_steps) for train_steps in (5, 6)] == [None, None]


@pytest.mark.parametrize("task_type", ["chief", "worker", "ps", "evaluator"])
def test_each_task_of_a_cluster_gets_its_part(tmp_path, monkeypatch, task_type):
    cluster = {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}
    tf_config = {"cluster": cluster, "task": {"type": task_type, "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config))
    subject = tiny(tmp_path / "model", train_steps=7, export_dir=str(tmp_path / "export"))
    tasks = []
    run_task = lambda *args: tasks.append(args) or "result"  # noqa: E731
    monkeypatch.setattr(experiment_module.cluster, "run_task", run_task)
    exported = []
    monkeypatch.setattr(subject, "_export_saved_model", exported.append)
    assert subject.train_and_evaluate() == ("result", [])
    [(estimator, train_spec, eval_spec, evaluate, stop_hook)] = tasks
    assert (estimator, train_spec.max_steps) == (subject.estimator, 7)
    assert (eval_spec.name, stop_hook) == ("validation", subject._stop_hook)
    assert callable(evaluate)
    is_chief = task_type == "chief"
    names = [type(hook).__name__ for hook in train_spec.hooks]
    saver = ["AlignedCheckpointSaverHook"] if is_chief else []
    assert names == ["CheckpointCheckHook", *saver, "StopHook"]
    # The chief alone sees to the directories.
    assert (tmp_path / "model" / "lock").exists() == is_chief
    assert len(exported) == is_chief


def test_every_graph_has_a_seed(tmp_path, monkeypatch):
    """Without one, TensorFlow refuses to build random ops where ops have to be deterministic."""
    tiny(tmp_path, train_steps=1).train()
    subject = tiny(tmp_path, seed=3, train_steps=2)
    estimator, seeds = subject.estimator, []
    tiny_model_fn = estimator._model_fn

    def model_fn(features, labels, mode, params):
        seeds.append((mode, tf.compat.v1.get_default_graph().seed))
        return tiny_model_fn(features, labels, mode, params)

    monkeypatch.setattr(estimator, "_model_fn", model_fn)
    subject.train_and_evaluate()
    # Training from step 1 on, evaluation.
    assert seeds == [(ModeKeys.TRAIN, 4), (ModeKeys.EVAL, 3)]


def test_another_seed_gives_another_result(tmp_path):
    runs = [experiment(tmp_path / str(seed), seed=seed, train_steps=5) for seed in (1, 2)]
    losses = {run.train_and_evaluate()[0]["loss"] for run in runs}
    assert len(losses) == 2


def test_tensorboard_tags_are_the_originals(finished_run):
    model_dir, _ = finished_run
    training, evaluation = scalars(model_dir), scalars(model_dir / "eval")
    for tag in ("OptimizeLoss/loss", "OptimizeLoss/global_norm/gradient_norm"):
        assert training[tag] == [1, 101]
    assert training["global_step/sec"] == [101]
    assert evaluation["Accuracy"] == evaluation["loss"] == [50, 100, 150, 200]


def test_tensorboard_has_both_graphs(finished_run):
    model_dir, _ = finished_run
    assert has_graph(model_dir)
    assert has_graph(model_dir / "eval")


def test_the_values_used_are_kept_in_the_model_dir(finished_run):
    model_dir, _ = finished_run
    values = json.loads((model_dir / "hparams.json").read_text())
    assert values == get_hparams(train_steps=200, min_eval_frequency=50).values()
