"""The hooks of the blog's Experiment: what happens beside the steps of its sessions.

Life cycle of a `SessionRunHook`: `begin` once the graph is built, `after_create_session` each time
a session is made, `before_run` and `after_run` around each step, `end` after the last step unless
one raised.
"""

import concurrent.futures
import contextlib
import errno
import os
import signal
import time

import numpy as np
import tensorflow as tf
from absl import logging

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class IteratorInitializerHook(tf.compat.v1.train.SessionRunHook):
    """Initializes a dataset's iterator as soon as the session is created (blog: "Dataset").

    The input function sets `iterator_initializer_func`, a function of the session. It is looked up
    when the session is there, as each graph that has the input function has an iterator of its own.
    """

    def __init__(self):
        self.iterator_initializer_func = None

    def after_create_session(self, session, coord):
        if self.iterator_initializer_func is None:
            raise ValueError(
                "IteratorInitializerHook: no iterator to initialize; call the input_fn that came "
                "with this hook before the session is created"
            )
        self.iterator_initializer_func(session)


class ProgressHook(tf.compat.v1.train.SessionRunHook):
    """Logs a line every 100 steps: step, loss and accuracy of the batch, steps/s, time left.

    Steps per second count the time inside the steps; the time left counts evaluations as well.
    TensorBoard gets the examples per second.
    """

    def __init__(self, train_steps, loss, accuracy, batch_size, output_dir):
        """`loss` and `accuracy` are names of scalar tensors in the training graph.

        Without `output_dir` TensorBoard gets nothing.
        """
        self._train_steps = train_steps
        self._names = {"loss": loss, "accuracy": accuracy}
        self._batch_size = batch_size
        self._output_dir = output_dir

    def begin(self):
        graph = tf.compat.v1.get_default_graph()
        self._fetches = {
            key: graph.get_tensor_by_name(f"{name}:0") for key, name in self._names.items()
        }
        self._global_step = tf.compat.v1.train.get_global_step()
        self._fetches["stale_step"] = self._global_step

    def after_create_session(self, session, coord):
        self._first_step = self._last_step = session.run(self._global_step)
        self._start_time = time.monotonic()
        self._step_time = 0

    def before_run(self, run_context):
        self._before_run_time = time.monotonic()
        return tf.compat.v1.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values):
        self._step_time += time.monotonic() - self._before_run_time
        # The step was fetched beside the update, so it may or may not include it.
        due = self._last_step - self._last_step % 100 + 100
        if run_values.results["stale_step"] + 1 < due:
            return
        step = run_context.session.run(self._global_step)
        if step < due:
            return
        elapsed = time.monotonic() - self._start_time
        seconds_left = elapsed * (self._train_steps - step) / (step - self._first_step)
        steps_per_second = (step - self._last_step) / self._step_time
        logging.info(
            "step %s of %s: loss %.4f, batch accuracy %.3f, %.1f steps/s, %s left",
            f"{step:,}",
            f"{self._train_steps:,}",
            run_values.results["loss"],
            run_values.results["accuracy"],
            steps_per_second,
            format_time(seconds_left),
        )
        if self._output_dir:
            summary = tf.compat.v1.Summary()
            summary.value.add(
                tag="global_step/examples_per_sec", simple_value=steps_per_second * self._batch_size
            )
            tf.compat.v1.summary.FileWriterCache.get(self._output_dir).add_summary(summary, step)
        self._last_step = step
        self._step_time = 0


class EvaluationListener(tf.compat.v1.train.CheckpointSaverListener):
    """Has each checkpoint evaluated beside training, except that of step 0: nothing is trained.

    That includes the first checkpoint after a resume. The run before may have ended between that
    checkpoint and its evaluation. Once training was asked to stop, no evaluation begins. There is
    one evaluation at a time; what it raises is raised once the next checkpoint is saved.
    """

    def __init__(self, start_evaluation, stop_hook):
        """`start_evaluation` returns a `concurrent.futures.Future`."""
        self._start_evaluation = start_evaluation
        self._stop_hook = stop_hook
        self._evaluation = None

    def before_save(self, session, global_step_value):
        if self._evaluation:  # the saver may delete its checkpoint
            concurrent.futures.wait([self._evaluation])

    def after_save(self, session, global_step_value):
        self._wait()
        if global_step_value > 0 and not self._stop_hook.signal_number:
            self._evaluation = self._start_evaluation()

    def end(self, session, global_step_value):
        self._wait()

    def _wait(self):
        if self._evaluation:
            self._evaluation.result()


class CheckpointGuard(tf.compat.v1.train.CheckpointSaverListener):
    """Keeps a diverged model from being saved, and events from being lost to a kill.

    The loss of a step is that of the weights before it: the NaN that ends training comes too late
    to keep the weights that the step left out of a checkpoint. What is not trained may start at
    infinity, as the best loss so far does.
    """

    def __init__(self, model_dir):
        self._model_dir = model_dir

    def begin(self):
        variables = [v for v in tf.compat.v1.global_variables() if v.dtype.is_floating]
        self._is_finite = [tf.reduce_all(tf.math.is_finite(variable)) for variable in variables]
        self._is_trained = np.array([variable.trainable for variable in variables], bool)
        self._has_to_be = None

    def before_save(self, session, global_step_value):
        if not tf.io.gfile.isdir(self._model_dir):  # the saver would raise a ValueError
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), self._model_dir)
        is_finite = np.array(session.run(self._is_finite), bool)
        if self._has_to_be is None:
            self._has_to_be = is_finite | self._is_trained
        if (self._has_to_be & ~is_finite).any():
            raise tf.compat.v1.train.NanLossDuringTrainingError
        # Training goes on from this checkpoint, so its curves have to reach as far.
        tf.compat.v1.summary.FileWriterCache.get(self._model_dir).flush()


class StopHook(tf.compat.v1.train.SessionRunHook):
    """Stops training after the current step once a signal came.

    SIGINT (Ctrl-C), SIGTERM or SIGHUP (a terminal was closed); until then `signal_number` is None.
    The hook belongs behind the one that saves checkpoints, so that a signal during an evaluation
    does not cost another step.
    """

    def __init__(self):
        self.signal_number = None

    @contextlib.contextmanager
    def handlers(self):
        """Handles the signals in the `with` block; does nothing where they can't be handled.

        A second SIGINT or SIGTERM ends the process. After the block, when all is saved, the signal
        is passed on to who handled it before: Ctrl-C is a KeyboardInterrupt then, in a notebook,
        too.
        """
        self.signal_number = None
        handled = list(_STOP_SIGNALS)
        hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
        if hang_up and signal.getsignal(hang_up) != signal.SIG_IGN:  # as `nohup` has it
            handled.append(hang_up)
        try:
            previous = {number: signal.signal(number, self._handle) for number in handled}
        except ValueError:  # not in the main thread
            previous = {}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        if self.signal_number:
            signal.raise_signal(self.signal_number)

    def _handle(self, signal_number, frame):
        self.signal_number = signal_number
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def after_run(self, run_context, run_values):
        if self.signal_number:
            run_context.request_stop()


def format_time(seconds):
    """For people: "47 s" or "3 min 5 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
