import re

import pytest
import tensorflow as tf

import hooks
import inputs


class PreemptOnce(tf.compat.v1.train.SessionRunHook):
    """Makes MonitoredSession believe, at its second step, that its session was preempted."""

    def __init__(self):
        self.steps = 0

    def before_run(self, run_context):
        self.steps += 1
        if self.steps == 2:
            raise tf.errors.AbortedError(None, None, "preempted")


def test_iterator_is_initialized_again_when_the_session_is_recreated(small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(500, small_mnist_data)
    with tf.Graph().as_default():
        _, next_labels = input_fn()
        session = tf.compat.v1.train.MonitoredSession(hooks=[hook, PreemptOnce()])
        with session:
            labels = [session.run(next_labels) for _ in range(3)]
    first, again, second = labels
    assert list(again) == list(first)
    assert list(second) == list(small_mnist_data.test.labels[500:])


def test_iterator_is_initialized_in_each_new_graph(small_mnist_data):
    input_fn, hook = inputs.get_test_inputs(1000, small_mnist_data)
    for _ in range(2):
        with tf.Graph().as_default():
            _, next_labels = input_fn()
            with tf.compat.v1.train.MonitoredSession(hooks=[hook]) as session:
                assert list(session.run(next_labels)) == list(small_mnist_data.test.labels)


def test_iterator_initializer_hook_without_an_iterator_says_so():
    with tf.Graph().as_default(), pytest.raises(ValueError, match="call the input_fn"):
        tf.no_op()
        tf.compat.v1.train.MonitoredSession(hooks=[hooks.IteratorInitializerHook()])


def lines_of_progress(caplog, first_step, train_steps):
    """Counts in a graph from `first_step` to `train_steps` and returns what the hook logged."""
    caplog.set_level("INFO", logger="absl")
    with tf.Graph().as_default():
        step = tf.compat.v1.train.create_global_step()
        tf.constant(0.25, name="loss")
        tf.constant(0.5, name="accuracy")
        train_op = step.assign_add(1)
        set_step = step.assign(first_step)
        scaffold = tf.compat.v1.train.Scaffold(
            init_fn=lambda scaffold, session: session.run(set_step)
        )
        stop_hook = tf.compat.v1.train.StopAtStepHook(last_step=train_steps)
        progress_hook = hooks.ProgressHook(train_steps, "loss", "accuracy", 128, None)
        with tf.compat.v1.train.MonitoredSession(
            tf.compat.v1.train.ChiefSessionCreator(scaffold), hooks=[stop_hook, progress_hook]
        ) as session:
            while not session.should_stop():
                session.run(train_op)
    return [record.getMessage() for record in caplog.records if record.name == "absl"]


def test_progress_is_logged_every_100_steps(caplog):
    lines = lines_of_progress(caplog, 0, 1250)
    assert [line.split(":")[0] for line in lines] == [
        f"step {step:,} of 1,250" for step in range(100, 1201, 100)
    ]


def test_progress_of_a_resumed_run_keeps_to_multiples_of_100(caplog):
    lines = lines_of_progress(caplog, 130, 400)
    assert [line.split(":")[0] for line in lines] == [f"step {s} of 400" for s in (200, 300, 400)]


def test_progress_line_has_loss_accuracy_speed_and_time_left(caplog):
    [line] = lines_of_progress(caplog, 0, 100)
    pattern = r"step 100 of 100: loss 0\.2500, batch accuracy 0\.500, [\d.]+ steps/s, 0 s left"
    assert re.fullmatch(pattern, line)


def test_every_checkpoint_but_the_untrained_one_is_evaluated():
    evaluated = []
    listener = hooks.EvaluationListener(lambda: evaluated.append(True), hooks.StopHook())
    for step in (0, 100, 200):
        listener.after_save(session=None, global_step_value=step)
    assert len(evaluated) == 2


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.7, "1 min 0 s"), (3725, "62 min 5 s")]
)
def test_time_is_in_minutes_and_seconds(seconds, text):
    assert hooks.format_time(seconds) == text
