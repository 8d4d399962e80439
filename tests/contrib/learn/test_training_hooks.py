import functools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import tensorflow as tf
from conftest import ROOT, read_scalars

from contrib.learn.summary_writer_cache import get_file_writer
from contrib.learn.training_hooks import (
    AlignedCheckpointSaverHook,
    CheckpointGuard,
    EvaluationListener,
    StopHook,
)


class StepsListener(tf.compat.v1.train.CheckpointSaverListener):
    """Keeps the steps of the checkpoints."""

    def __init__(self):
        self.steps = []

    def after_save(self, session, global_step_value):
        self.steps.append(int(global_step_value))


@pytest.mark.parametrize(
    ("first_step", "arguments", "steps"),
    [
        (0, {"save_steps": 4}, [0, 4, 8, 10]),
        (3, {"save_steps": 4}, [3, 4, 8, 10]),
        (4, {"save_steps": 4}, [4, 8, 10]),
        (7, {"save_steps": 1}, [7, 8, 9, 10]),
        (7, {"save_secs": 1e-9}, [7, 8, 9, 10]),
        (3, {"save_secs": 1000}, [3, 10]),
    ],
)
def test_checkpoints_are_saved_at_multiples_of_their_steps(tmp_path, first_step, arguments, steps):
    listener = StepsListener()
    with tf.Graph().as_default():
        step = tf.compat.v1.train.create_global_step()
        train_op, set_step = step.assign_add(1), step.assign(first_step)
        scaffold = tf.compat.v1.train.Scaffold(init_fn=lambda _, session: session.run(set_step))
        hooks = [
            AlignedCheckpointSaverHook(str(tmp_path), listeners=[listener], **arguments),
            tf.compat.v1.train.StopAtStepHook(last_step=10),
        ]
        creator = tf.compat.v1.train.ChiefSessionCreator(scaffold)
        with tf.compat.v1.train.MonitoredSession(creator, hooks) as session:
            while not session.should_stop():
                session.run(train_op)
    assert listener.steps == steps
    assert not list(tmp_path.glob("*.meta")) + list(tmp_path.glob("*.pbtxt"))


def listen(evaluate, every_n_steps=1, stop_hook=None):
    """An EvaluationListener as it is when the graph is built."""
    listener = EvaluationListener(evaluate, every_n_steps, stop_hook or StopHook())
    listener.begin()
    return listener


def finished_evaluation(exception=None):
    """A `Future` that is done."""
    evaluation = Future()
    evaluation.set_exception(exception) if exception else evaluation.set_result({})
    return evaluation


@pytest.mark.parametrize(
    ("every_n_steps", "saved", "evaluated"),
    [
        (1, [0, 1, 2, 3], [1, 2, 3]),
        (100, [0, 100, 200], [100, 200]),
        # The checkpoints are closer than the evaluations, and do not meet them.
        (100, range(0, 280, 40), [120, 240]),
        # They are farther apart.
        (100, [0, 250, 500], [250, 500]),
        # The last run may have ended between this checkpoint and its evaluation.
        (100, [130, 160, 200, 260, 300], [130, 200, 300]),
        (100, [7, 50, 100], [7, 100]),
    ],
)
def test_a_checkpoint_is_evaluated_when_so_many_steps_have_passed(every_n_steps, saved, evaluated):
    steps = []
    listener = EvaluationListener(lambda: steps.append(step), every_n_steps, StopHook())
    for _ in range(2):  # a second session of one Experiment begins anew
        steps.clear()
        listener.begin()
        for step in saved:
            listener.after_save(session=None, global_step_value=step)
        assert steps == evaluated


@pytest.mark.parametrize("moment", ["after_save", "end"])
def test_the_error_of_an_evaluation_is_raised_after_the_next_checkpoint_and_at_the_end(moment):
    listener = listen(lambda: finished_evaluation(KeyError("lost")))
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
        listener = listen(start_evaluation)
        listener.after_save(session=None, global_step_value=100)
        assert not finished
        goes_on.set()
        getattr(listener, moment)(session=None, global_step_value=200)
        assert finished


def test_no_evaluation_begins_once_asked_to_stop():
    evaluations = []
    stop_hook = StopHook()
    listener = listen(lambda: evaluations.append(True), 1, stop_hook)
    listener.after_save(None, 20)
    stop_hook.signal_number = signal.SIGINT
    listener.after_save(None, 40)
    assert evaluations == [True]


def make_guard(model_dir, before_first_save=lambda: None):
    return CheckpointGuard(str(model_dir), before_first_save)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("trainable", [True, False])
def test_weights_that_are_not_finite_stop_the_save(tmp_path, value, trainable):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.create_global_step()
        for name in ("whole", "broken"):
            variable = tf.compat.v1.get_variable(name, initializer=[1.0, 2.0], trainable=trainable)
        session.run(tf.compat.v1.global_variables_initializer())
        guard = make_guard(tmp_path)
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
        guard = make_guard(tmp_path)
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
        guard = make_guard(tmp_path)
        guard.begin()
        summary = tf.compat.v1.Summary()
        summary.value.add(tag="loss", simple_value=0.5)
        get_file_writer(str(tmp_path)).add_summary(summary, 7)
        guard.before_save(session, 7)
        assert read_scalars(tmp_path, "loss") == {7: 0.5}


def test_events_are_flushed_to_the_file_of_this_process(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.create_global_step()
        guard = make_guard(tmp_path)
        guard.begin()
        guard.before_save(session, 0)
    [events] = tmp_path.iterdir()
    assert events.name.endswith(f".{os.getpid()}")


def test_a_function_is_called_once_before_the_first_save(tmp_path):
    calls = []
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("weights", initializer=[1.0])
        session.run(tf.compat.v1.global_variables_initializer())
        guard = make_guard(tmp_path, lambda: calls.append(True))
        guard.begin()
        assert not calls
        for step in (0, 1):
            guard.before_save(session, step)
    assert calls == [True]


def test_a_model_without_weights_can_be_saved(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.create_global_step()
        guard = make_guard(tmp_path)
        guard.begin()
        guard.before_save(session, 0)


def test_a_model_dir_that_is_gone_is_told_by_its_name(tmp_path):
    with tf.Graph().as_default():
        guard = make_guard(tmp_path / "gone")
        guard.begin()
        with pytest.raises(FileNotFoundError) as error:
            guard.before_save(None, 1)
    assert error.value.filename == str(tmp_path / "gone")


def test_the_step_in_which_a_signal_comes_is_the_last():
    stop_hook = StopHook()
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
    stop_hook = StopHook()
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


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_a_terminal_that_is_closed_stops_it_unless_that_is_ignored():
    passed_on, stop_hook = [], StopHook()
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


def test_second_signal_ends_the_process_at_once():
    code = """
import signal
from contrib.learn.summary_writer_cache import get_file_writer
from contrib.learn.training_hooks import StopHook
with StopHook().handlers():
    signal.raise_signal(signal.SIGINT)
    print("handled")
    signal.raise_signal(signal.SIGINT)
    print("handled twice")
"""
    process = subprocess.run(
        [sys.executable, "-uc", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert (process.returncode, process.stdout) == (-signal.SIGINT, "handled\n")


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopHook().handlers():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_handlers_do_nothing_outside_of_the_main_thread():
    entered = []

    def enter():
        with StopHook().handlers():
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered
