import functools
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

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
        tf.identity(tf.compat.v1.py_func(clock.step, [], tf.double, stateful=True), name="loss")
        tf.constant(0.5, name="accuracy")
        train_op = step.assign_add(1)
        set_step = step.assign(first_step)
        scaffold = tf.compat.v1.train.Scaffold(
            init_fn=lambda scaffold, session: session.run(set_step)
        )
        stop_hook = tf.compat.v1.train.StopAtStepHook(last_step=train_steps)
        progress_hook = hooks.ProgressHook(train_steps, "loss", "accuracy", 128, output_dir)
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


def test_progress_waits_for_a_step_that_the_global_step_has_not_reached(caplog):
    caplog.set_level("INFO", logger="absl")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.create_global_step()
        tf.constant(0.25, name="loss")
        tf.constant(0.5, name="accuracy")
        hook = hooks.ProgressHook(1000, "loss", "accuracy", 128, None)
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


def evaluated(exception=None):
    """A finished evaluation."""
    evaluation = Future()
    evaluation.set_exception(exception) if exception else evaluation.set_result({})
    return evaluation


def test_every_checkpoint_but_the_untrained_one_is_evaluated():
    evaluations = []

    def start_evaluation():
        evaluations.append(evaluated())
        return evaluations[-1]

    listener = hooks.EvaluationListener(start_evaluation, hooks.StopHook())
    for step in (0, 100, 200):
        listener.after_save(session=None, global_step_value=step)
    assert len(evaluations) == 2


@pytest.mark.parametrize("moment", ["after_save", "end"])
def test_the_error_of_an_evaluation_is_raised_after_the_next_checkpoint_and_at_the_end(moment):
    listener = hooks.EvaluationListener(lambda: evaluated(KeyError("lost")), hooks.StopHook())
    listener.after_save(session=None, global_step_value=100)
    with pytest.raises(KeyError, match="lost"):
        getattr(listener, moment)(session=None, global_step_value=200)


@pytest.mark.parametrize("moment", ["before_save", "after_save", "end"])
def test_the_next_checkpoint_and_evaluation_and_the_end_wait_for_an_evaluation(moment):
    finished, goes_on = [], threading.Event()

    def evaluate():
        goes_on.wait(60)
        time.sleep(0.2)  # for a listener that does not wait
        finished.append(True)

    with ThreadPoolExecutor() as executor:
        start_evaluation = functools.partial(executor.submit, evaluate)
        listener = hooks.EvaluationListener(start_evaluation, hooks.StopHook())
        listener.after_save(session=None, global_step_value=100)
        assert not finished
        goes_on.set()
        getattr(listener, moment)(session=None, global_step_value=200)
        assert finished


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (46.6, "47 s"), (59.4, "59 s"), (59.7, "1 min 0 s"), (3725, "62 min 5 s")],
)
def test_time_is_in_minutes_and_seconds(seconds, text):
    assert hooks.format_time(seconds) == text


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_a_terminal_that_is_closed_stops_it_unless_that_is_ignored():
    passed_on, stop_hook = [], hooks.StopHook()
    before = signal.signal(signal.SIGHUP, lambda *args: passed_on.append(args[0]))
    try:
        with stop_hook.handlers():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)  # of the shell, and of the terminal itself
            assert not passed_on
        assert passed_on == [stop_hook.signal_number] == [signal.SIGHUP]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with stop_hook.handlers():
            signal.raise_signal(signal.SIGHUP)
        assert stop_hook.signal_number is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("trainable", [True, False])
def test_weights_that_are_not_finite_stop_the_save(tmp_path, value, trainable):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.create_global_step()
        for name in ("whole", "broken"):
            variable = tf.compat.v1.get_variable(name, initializer=[1.0, 2.0], trainable=trainable)
        session.run(tf.compat.v1.global_variables_initializer())
        guard = hooks.CheckpointGuard(str(tmp_path))
        guard.begin()
        guard.before_save(session, 0)
        variable.load([1.0, value], session)
        with pytest.raises(tf.compat.v1.train.NanLossDuringTrainingError):
            guard.before_save(session, 1)


@pytest.mark.parametrize("trainable", [True, False])
def test_only_what_is_not_trained_may_start_at_infinity(tmp_path, trainable):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        best = tf.compat.v1.get_variable("best", initializer=float("inf"), trainable=trainable)
        session.run(tf.compat.v1.global_variables_initializer())
        guard = hooks.CheckpointGuard(str(tmp_path))
        guard.begin()
        if trainable:
            with pytest.raises(tf.compat.v1.train.NanLossDuringTrainingError):
                guard.before_save(session, 0)
        else:
            for value in (float("inf"), 3.0):
                best.load(value, session)
                guard.before_save(session, 0)


def test_the_curves_reach_as_far_as_a_checkpoint(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.create_global_step()
        tf.compat.v1.get_variable("weights", initializer=[1.0])
        session.run(tf.compat.v1.global_variables_initializer())
        guard = hooks.CheckpointGuard(str(tmp_path))
        guard.begin()
        summary = tf.compat.v1.Summary()
        summary.value.add(tag="loss", simple_value=0.5)
        tf.compat.v1.summary.FileWriterCache.get(str(tmp_path)).add_summary(summary, 7)
        guard.before_save(session, 7)
        assert read_scalars(tmp_path, "loss") == {7: 0.5}


def test_the_step_in_which_a_signal_comes_is_the_last():
    stop_hook = hooks.StopHook()
    context = tf.compat.v1.train.SessionRunContext(None, None)
    stop_hook.after_run(context, None)
    assert not context.stop_requested
    stop_hook.signal_number = signal.SIGTERM
    stop_hook.after_run(context, None)
    assert context.stop_requested


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_kept_and_a_second_one_left_to_the_system(number):
    numbers, passed_on = (signal.SIGINT, signal.SIGTERM), []
    before = [signal.signal(each, lambda *args: passed_on.append(args[0])) for each in numbers]
    stop_hook = hooks.StopHook()
    try:
        for _ in range(2):
            with stop_hook.handlers():
                assert stop_hook.signal_number is None
                signal.raise_signal(number)
                assert stop_hook.signal_number == number
                assert {signal.getsignal(each) for each in numbers} == {signal.SIG_DFL}
                assert not passed_on
            assert passed_on == [number]
            passed_on.clear()
    finally:
        for each, handler in zip(numbers, before):
            signal.signal(each, handler)


def test_a_model_without_weights_can_be_saved(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.create_global_step()
        guard = hooks.CheckpointGuard(str(tmp_path))
        guard.begin()
        guard.before_save(session, 0)


def test_a_model_dir_that_is_gone_is_told_by_its_name(tmp_path):
    with tf.Graph().as_default():
        guard = hooks.CheckpointGuard(str(tmp_path / "gone"))
        guard.begin()
        with pytest.raises(FileNotFoundError) as error:
            guard.before_save(None, 1)
    assert error.value.filename == str(tmp_path / "gone")
