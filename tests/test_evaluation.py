import os
import types

import pytest
import tensorflow as tf
from conftest import read_scalars, save_checkpoints

import inputs
from evaluation import Evaluation, find_evaluated_steps
from hparams import HParams
from mnist_estimator import get_estimator
from tf_estimator import EstimatorSpec, ModeKeys, RunConfig


@pytest.fixture
def estimator(model_dir_2017):
    return get_estimator(RunConfig(str(model_dir_2017)), HParams())


class RecordingHook(tf.compat.v1.train.SessionRunHook):
    """Keeps the calls of its life cycle, with the number of labels that each batch had."""

    def __init__(self):
        self.calls = []

    def begin(self):
        _, labels, _, _ = tf.compat.v1.get_collection("evaluated")
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
    subject = Evaluation(estimator, input_fn, [hook])
    assert subject.evaluate(estimator.latest_checkpoint()) == pytest.approx(expected)


def test_each_checkpoint_is_evaluated_with_its_own_variables(estimator, small_mnist_data):
    input_fn, hook = inputs.get_train_inputs(10, small_mnist_data)
    earlier = estimator.latest_checkpoint()
    estimator.train(input_fn, hooks=[hook], steps=3)
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    subject = Evaluation(estimator, input_fn, [hook])
    first, second, again = (
        subject.evaluate(path) for path in (earlier, estimator.latest_checkpoint(), earlier)
    )
    assert (first["global_step"], second["global_step"]) == (1000, 1003)
    assert first == again
    assert first["loss"] != second["loss"]


def test_hooks_live_through_each_evaluation(estimator, small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    recording_hook = RecordingHook()
    subject = Evaluation(estimator, input_fn, [hook, recording_hook])
    for _ in range(2):
        subject.evaluate(estimator.latest_checkpoint())
    one_evaluation = ["after_create_session", 300, 300, 300, 100, "end"]
    assert recording_hook.calls == ["begin", *one_evaluation, *one_evaluation]


def test_steps_limit_the_batches(estimator, small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    recording_hook = RecordingHook()
    subject = Evaluation(estimator, input_fn, [hook, recording_hook], steps=2)
    subject.evaluate(estimator.latest_checkpoint())
    assert [call for call in recording_hook.calls if not isinstance(call, str)] == [300, 300]


def test_a_checkpoint_that_cannot_be_read_does_not_spoil_the_next(estimator, small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    subject = Evaluation(estimator, input_fn, [hook])
    expected = subject.evaluate(estimator.latest_checkpoint())
    with pytest.raises(ValueError, match="not a valid checkpoint"):
        subject.evaluate("model.ckpt-7")
    assert subject.evaluate(estimator.latest_checkpoint()) == expected


@pytest.mark.parametrize(("name", "directory"), [(None, "eval"), ("validation", "eval_validation")])
def test_each_result_and_the_graph_are_in_the_events(estimator, small_mnist_data, name, directory):
    input_fn, hook = inputs.get_test_inputs(300, small_mnist_data)
    subject = Evaluation(estimator, input_fn, [hook], name=name)
    result = subject.evaluate(estimator.latest_checkpoint())
    eval_dir = os.path.join(estimator.model_dir, directory)
    for tag in ("Accuracy", "loss"):
        assert read_scalars(eval_dir, tag) == {1000: result[tag]}
    [path] = os.listdir(eval_dir)
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
        modes.append((mode, config, features.device, labels.device))
        weights = tf.compat.v1.get_variable("weights", initializer=tf.ones([1000]))
        return EstimatorSpec(mode, loss=weights[0] * 2, evaluation_hooks=[hook])

    session_config = n_threads and tf.compat.v1.ConfigProto(intra_op_parallelism_threads=n_threads)
    estimator = types.SimpleNamespace(
        config=RunConfig(session_config=session_config),
        eval_dir=lambda name: str(tmp_path / "eval"),
        model_fn=model_fn,
    )
    save_checkpoints(tmp_path, 7)
    subject = Evaluation(estimator, lambda: (tf.ones([1]), tf.ones([1])), [], steps=2)
    assert subject.evaluate(str(tmp_path / "model.ckpt-7"))["loss"] == 2
    [(mode, config, *devices)] = modes
    assert (mode, config) == (ModeKeys.EVAL, estimator.config)
    assert {tf.DeviceSpec.from_string(device).device_type for device in devices} == {"CPU"}
    assert len(hook.contexts) == 2
    expected = session_config or tf.compat.v1.ConfigProto(allow_soft_placement=True)
    assert hook.contexts[0].session._config == expected
    assert hook.contexts[0].original_args.fetches is not None


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
