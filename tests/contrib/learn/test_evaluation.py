import os

import numpy as np
import pytest
import tensorflow as tf
from conftest import read_scalars, save_checkpoints

import inputs
from contrib.learn.errors import UserError
from contrib.learn.evaluation import Evaluation, find_evaluated_steps
from mnist_estimator import get_hparams
from mnist_estimator import get_estimator
from tf_estimator import Estimator, EstimatorSpec, ModeKeys, RunConfig


@pytest.fixture
def estimator(model_dir_2017):
    return get_estimator(RunConfig(str(model_dir_2017)), get_hparams())


class RecordingHook(tf.compat.v1.train.SessionRunHook):
    """Keeps the calls of its life cycle, with the number of labels that each batch had."""

    def __init__(self):
        self.calls = []

    def begin(self):
        operations = tf.compat.v1.get_default_graph().get_operations()
        _, labels = next(op for op in operations if op.type == "IteratorGetNext").outputs
        self._size = tf.size(labels)
        self.calls.append("begin")

    def after_create_session(self, session, coord):
        self.calls.append("after_create_session")

    def before_run(self, run_context):
        return tf.compat.v1.train.SessionRunArgs(self._size)

    def after_run(self, run_context, run_values):
        self.calls.append(run_values.results)

    def end(self, session):
        self.calls.append("end")


def test_result_is_that_of_the_estimator(estimator, small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    expected = estimator.evaluate(input_fn, hooks=[hook])
    subject = Evaluation(estimator, input_fn, hooks=[hook])
    assert subject.evaluate(estimator.latest_checkpoint()) == pytest.approx(expected)


def test_each_checkpoint_is_evaluated_with_its_own_variables(estimator, small_mnist_data):
    input_fn, hook = inputs.get_train_inputs(10, small_mnist_data)
    earlier = estimator.latest_checkpoint()
    estimator.train(input_fn, hooks=[hook], steps=3)
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    subject = Evaluation(estimator, input_fn, hooks=[hook])
    first, second, again = (
        subject.evaluate(path) for path in (earlier, estimator.latest_checkpoint(), earlier)
    )
    assert (first["global_step"], second["global_step"]) == (1000, 1003)
    assert first == again
    assert first["loss"] != second["loss"]


def test_hooks_live_through_each_evaluation(estimator, small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    recording_hook = RecordingHook()
    subject = Evaluation(estimator, input_fn, hooks=[hook, recording_hook])
    for _ in range(2):
        subject.evaluate(estimator.latest_checkpoint())
    one_evaluation = ["after_create_session", 300, 300, 300, 100, "end"]
    assert recording_hook.calls == ["begin", *one_evaluation, *one_evaluation]


def test_steps_limit_the_batches(estimator, small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    recording_hook = RecordingHook()
    subject = Evaluation(estimator, input_fn, 2, [hook, recording_hook])
    subject.evaluate(estimator.latest_checkpoint())
    assert [call for call in recording_hook.calls if not isinstance(call, str)] == [300, 300]


def test_the_checkpoint_of_another_model_is_a_line(tmp_path, estimator, small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    subject = Evaluation(estimator, input_fn, hooks=[hook])
    save_checkpoints(tmp_path, 7)
    with pytest.raises(UserError, match=r"model\.ckpt-7 is of another model: .* is missing"):
        subject.evaluate(f"{tmp_path}/model.ckpt-7")


def test_a_checkpoint_that_cannot_be_read_does_not_spoil_the_next(estimator, small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    subject = Evaluation(estimator, input_fn, hooks=[hook])
    expected = subject.evaluate(estimator.latest_checkpoint())
    with pytest.raises(tf.errors.NotFoundError, match=r"model\.ckpt-7"):
        subject.evaluate("model.ckpt-7")
    assert subject.evaluate(estimator.latest_checkpoint()) == expected


@pytest.mark.parametrize(("name", "directory"), [(None, "eval"), ("validation", "eval_validation")])
def test_each_result_and_the_graph_are_in_the_events(estimator, small_mnist_data, name, directory):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    subject = Evaluation(estimator, input_fn, hooks=[hook], name=name)
    result = subject.evaluate(estimator.latest_checkpoint())
    eval_dir = os.path.join(estimator.model_dir, directory)
    for tag in ("Accuracy", "loss"):
        assert read_scalars(eval_dir, tag) == {1000: result[tag]}
    [path] = os.listdir(eval_dir)
    assert path.endswith(f".{os.getpid()}")  # of get_file_writer, another process has its own
    events = tf.compat.v1.train.summary_iterator(os.path.join(eval_dir, path))
    assert any(event.graph_def for event in events)
    assert find_evaluated_steps(eval_dir) == {1000}


class CountingHook(tf.compat.v1.train.SessionRunHook):
    def __init__(self):
        self.contexts = []

    def before_run(self, run_context):
        self.contexts.append(run_context)


@pytest.mark.parametrize("n_threads", [None, 3])
def test_hooks_of_the_model_and_the_session_of_the_configuration_are_used(tmp_path, n_threads):
    hook, modes = CountingHook(), []

    def model_fn(features, labels, mode, config):
        modes.append((mode, config.model_dir, features.device, labels.device))
        weights = tf.compat.v1.get_variable("weights", initializer=tf.ones([1000]))
        return EstimatorSpec(mode, loss=weights[0] * 2, evaluation_hooks=[hook])

    session_config = n_threads and tf.compat.v1.ConfigProto(intra_op_parallelism_threads=n_threads)
    estimator = Estimator(model_fn, config=RunConfig(str(tmp_path), session_config=session_config))
    save_checkpoints(tmp_path, 7)
    subject = Evaluation(estimator, lambda: (tf.ones([1]), tf.ones([1])), steps=2)
    assert subject.evaluate(str(tmp_path / "model.ckpt-7"))["loss"] == 2
    [(mode, config_model_dir, *devices)] = modes
    assert (mode, config_model_dir) == (ModeKeys.EVAL, str(tmp_path))
    assert {tf.DeviceSpec.from_string(device).device_type for device in devices} == {"CPU"}
    assert len(hook.contexts) == 2
    assert hook.contexts[0].session._config == estimator.config.session_config
    assert not n_threads or estimator.config.session_config == session_config
    assert hook.contexts[0].original_args.fetches is not None


def evaluation_of(model_fn, directory, hooks=(), input_fn=None, steps=2):
    """An Evaluation of this model on `steps` batches of one feature."""
    estimator = Estimator(model_fn, config=RunConfig(str(directory)))
    save_checkpoints(directory, 7)
    subject = Evaluation(estimator, input_fn or (lambda: (tf.ones([1]), None)), steps, hooks)
    return lambda: subject.evaluate(str(directory / "model.ckpt-7"))


class ArgumentsHook(tf.compat.v1.train.SessionRunHook):
    """Feeds 5 to the feature, and stops after the first batch if asked for."""

    def __init__(self, stop):
        self._stop = stop

    def begin(self):
        self._feature = tf.compat.v1.get_default_graph().get_tensor_by_name("ones:0")

    def before_run(self, run_context):
        if self._stop:
            run_context.request_stop()
        return tf.compat.v1.train.SessionRunArgs(None, feed_dict={self._feature: [5]})


def weighed(features, labels, mode, config):
    weights = tf.compat.v1.get_variable("weights", initializer=tf.ones([1000]))
    count = tf.compat.v1.metrics.mean_tensor(tf.stack([features[0], weights[0]]))
    number = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([5], [7]), 0)
    found = tf.compat.v1.metrics.mean(number.lookup(tf.cast(features, tf.int32)))
    total = tf.compat.v1.get_local_variable("total", initializer=0.0)
    batches = total.read_value(), total.assign_add(0 * features[0] + 1)
    metrics = {"both": count, "found": found, "batches": batches}
    return EstimatorSpec(mode, loss=features[0], eval_metric_ops=metrics)


@pytest.mark.parametrize(("stop", "batches"), [(False, 2), (True, 1)])
def test_a_hook_may_feed_and_stop_and_a_model_have_tables(tmp_path, stop, batches):
    result = evaluation_of(weighed, tmp_path, [ArgumentsHook(stop)])()
    assert (result["loss"], result["found"], result["batches"]) == (5, 7, batches)


def test_a_metric_may_be_an_array(tmp_path):
    np.testing.assert_array_equal(evaluation_of(weighed, tmp_path)()["both"], [1, 1])
    [path] = (tmp_path / "eval").iterdir()
    [event] = [e for e in tf.compat.v1.train.summary_iterator(str(path)) if e.summary.value]
    [value] = [value for value in event.summary.value if value.tag == "both"]
    np.testing.assert_array_equal(tf.make_ndarray(value.tensor), [1, 1])


def test_an_evaluation_without_a_batch_is_an_error(tmp_path):
    def input_fn():
        dataset = tf.data.Dataset.from_tensor_slices(tf.ones([3, 1]))
        return tf.compat.v1.data.make_one_shot_iterator(dataset).get_next(), None

    evaluate = evaluation_of(weighed, tmp_path, input_fn=input_fn, steps=None)
    assert evaluate()["batches"] == 3
    with pytest.raises(ValueError, match="an evaluation without a batch"):
        evaluate()


def test_queues_are_an_error(tmp_path):
    def input_fn():
        return tf.compat.v1.train.batch([1.0], 1), None

    with pytest.raises(ValueError, match=r"input_fn has queues.*make a tf\.data\.Dataset"):
        evaluation_of(weighed, tmp_path, input_fn=input_fn)


def test_a_metric_may_not_have_the_name_of_the_loss(tmp_path):
    def model_fn(features, labels, mode):
        metrics = {"loss": tf.compat.v1.metrics.mean(features)}
        return EstimatorSpec(mode, loss=features[0], eval_metric_ops=metrics)

    with pytest.raises(ValueError, match='Metric with name "loss" is not allowed'):
        evaluation_of(model_fn, tmp_path)


def test_the_scaffold_of_a_model_restores_what_it_says(tmp_path):
    def model_fn(features, labels, mode):
        shadow = tf.compat.v1.get_variable("shadow", [1000])
        step = tf.compat.v1.train.get_global_step()
        saver = tf.compat.v1.train.Saver({"weights": shadow, "global_step": step})
        scaffold = tf.compat.v1.train.Scaffold(saver=saver)
        return EstimatorSpec(mode, loss=shadow[0], scaffold=scaffold)

    assert evaluation_of(model_fn, tmp_path)()["loss"] == 1


def test_a_metric_may_be_a_summary_or_another_text(tmp_path):
    def model_fn(features, labels, mode):
        summary, text = tf.compat.v1.summary.scalar("any", 3.0), tf.constant("a text")
        metrics = {"shown": (summary, tf.no_op()), "text": (text, tf.no_op())}
        return EstimatorSpec(mode, loss=features[0], eval_metric_ops=metrics)

    assert evaluation_of(model_fn, tmp_path)()["text"] == b"a text"
    assert read_scalars(tmp_path / "eval", "shown/0") == {0: 3}


def write_events(directory, tag, *steps):
    suffix = f"{tag}{steps}"  # two files of one second would have one name
    with tf.Graph().as_default():
        writer = tf.compat.v1.summary.FileWriter(str(directory), filename_suffix=suffix)
    with writer:
        for step in steps:
            summary = tf.compat.v1.Summary()
            summary.value.add(tag=tag, simple_value=0.5)
            writer.add_summary(summary, step)


def test_evaluated_steps_are_those_with_a_loss_in_whole_events(tmp_path):
    assert find_evaluated_steps(str(tmp_path / "nothing")) == set()
    write_events(tmp_path, "loss", 100, 200)
    [killed] = tmp_path.iterdir()
    os.truncate(killed, killed.stat().st_size - 5)
    write_events(tmp_path, "loss", 300)
    write_events(tmp_path, "Accuracy", 400)
    assert find_evaluated_steps(str(tmp_path)) == {100, 300}
