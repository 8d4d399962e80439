import os

import pytest
import tensorflow as tf
from conftest import read_scalars

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


class Clock:
    """Stands for the module `time`: half a second in each step, 1.5 from each to the next."""

    def __init__(self):
        self.now = 1e9

    def monotonic(self):
        return self.now

    def step(self):
        self.now += 0.5
        return 0.25


def lines_of_progress(monkeypatch, caplog, first_step, train_steps, output_dir=None):
    """Counts in a graph from `first_step` to `train_steps` and returns what the hook logged."""
    clock = Clock()
    monkeypatch.setattr(hooks, "time", clock)
    caplog.set_level("INFO", logger="absl")
    with tf.Graph().as_default():
        step = tf.compat.v1.train.create_global_step()
        tf.identity(
            tf.compat.v1.py_func(clock.step, [], tf.double, stateful=True), name="batch_loss"
        )
        tf.constant(0.5, name="batch_accuracy")
        train_op = step.assign_add(1)
        set_step = step.assign(first_step)
        scaffold = tf.compat.v1.train.Scaffold(
            init_fn=lambda scaffold, session: session.run(set_step)
        )
        stop_hook = tf.compat.v1.train.StopAtStepHook(last_step=train_steps)
        progress_hook = hooks.ProgressHook(train_steps, 128, output_dir)
        with tf.compat.v1.train.MonitoredSession(
            tf.compat.v1.train.ChiefSessionCreator(scaffold), hooks=[stop_hook, progress_hook]
        ) as session:
            while not session.should_stop():
                clock.now += 1.5
                session.run(train_op)
    return [record.getMessage() for record in caplog.records if record.name == "absl"]


def test_progress_is_logged_every_100_steps(monkeypatch, caplog):
    lines = lines_of_progress(monkeypatch, caplog, 0, 1250)
    assert [line.split(":")[0] for line in lines] == [
        f"step {step:,} of 1,250" for step in range(100, 1201, 100)
    ]


def test_progress_of_a_resumed_run_counts_its_own_steps(monkeypatch, caplog, tmp_path):
    lines = lines_of_progress(monkeypatch, caplog, 130, 1400, str(tmp_path))
    beginning = "loss 0.2500, batch accuracy 0.500, 2.0 steps/s"
    assert lines[:2] == [
        f"step 200 of 1,400: {beginning}, 40 min 0 s left",
        f"step 300 of 1,400: {beginning}, 36 min 40 s left",
    ]
    assert lines[-1] == f"step 1,400 of 1,400: {beginning}, 0 s left"
    tf.compat.v1.summary.FileWriterCache.get(str(tmp_path)).flush()
    speeds = read_scalars(tmp_path, "global_step/examples_per_sec")
    assert speeds == dict.fromkeys(range(200, 1401, 100), 2.0 * 128)
    [events] = tmp_path.iterdir()
    assert events.name.endswith(
        f".{os.getpid()}"
    )  # of get_file_writer, another process has its own


def test_progress_waits_for_a_step_that_the_global_step_has_not_reached(caplog):
    caplog.set_level("INFO", logger="absl")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.create_global_step()
        tf.constant(0.25, name="batch_loss")
        tf.constant(0.5, name="batch_accuracy")
        hook = hooks.ProgressHook(1000, 128, None)
        hook.begin()
        session.run(step.assign(50))
        hook.after_create_session(session, None)
        context = tf.compat.v1.train.SessionRunContext(None, session)
        fetches = hook.before_run(context).fetches
        # As fetched: 99 stands for before step 100 or, of one that has ended, after step 99.
        # Other workers of a cluster can have done more by then.
        for global_step, fetched in ((98, 97), (99, 99), (100, 99), (101, 100), (330, 199)):
            session.run(step.assign(global_step))
            values = {**session.run(fetches), "stale_step": fetched}
            hook.after_run(context, tf.compat.v1.train.SessionRunValues(values, None, None))
    assert [message.split(":")[0] for message in caplog.messages] == [
        "step 100 of 1,000",
        "step 330 of 1,000",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (46.6, "47 s"), (59.4, "59 s"), (59.7, "1 min 0 s"), (3725, "62 min 5 s")],
)
def test_time_is_in_minutes_and_seconds(seconds, text):
    assert hooks.format_time(seconds) == text
