import pytest
import tensorflow as tf

import inputs
from evaluation import Evaluation
from hparams import HParams
from mnist_estimator import get_estimator
from tf_estimator import RunConfig


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
