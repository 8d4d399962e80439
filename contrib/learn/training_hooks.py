"""The hooks that every training run of an Experiment has: they save, evaluate and stop.

Life cycle of a `CheckpointSaverListener`: `begin` when the graph is built, `before_save` and
`after_save` around each checkpoint, `end` after the last step.
"""

import concurrent.futures
import contextlib
import errno
import os
import signal

import numpy as np
import tensorflow as tf

from contrib.learn.summary_writer_cache import get_file_writer

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AlignedCheckpointSaverHook(tf.compat.v1.train.CheckpointSaverHook):
    """Saves at multiples of `save_steps`, also if the run before stopped between two of them.

    With `save_secs` it saves by the clock.
    """

    def __init__(self, checkpoint_dir, save_secs=None, save_steps=None, listeners=None):
        # The events have the graph. A copy beside each checkpoint would only cost time.
        super().__init__(
            checkpoint_dir, save_secs, save_steps, listeners=listeners, save_graph_def=False
        )
        self._save_steps = save_steps
        # Private: the default would fetch the global step in a run of its own after each step.
        self._set_steps_per_run(1)

    def after_create_session(self, session, coord):
        super().after_create_session(session, coord)
        if self._save_steps:
            # Private: only the timer of the hook knows when the next checkpoint is due.
            step = self._timer.last_triggered_step()
            self._timer.update_last_triggered_step(step - step % self._save_steps)


class EvaluationListener(tf.compat.v1.train.CheckpointSaverListener):
    """Has new checkpoints evaluated, but not the checkpoint of step 0: nothing is trained yet.

    A checkpoint is evaluated if `every_n_steps` steps have passed since the last evaluation. The
    first checkpoint after a resume is evaluated, too, because the run before may have ended before
    its evaluation. No evaluation begins once training was asked to stop.
    """

    def __init__(self, evaluate, every_n_steps, stop_hook):
        """`evaluate` returns None, or a `concurrent.futures.Future` of a running evaluation.

        One evaluation runs at a time. Its error is raised when the next checkpoint is saved.
        """
        self._evaluate = evaluate
        self._every_n_steps = every_n_steps
        self._stop_hook = stop_hook
        self._evaluation = None

    def begin(self):
        self._last_step = None

    def before_save(self, session, global_step_value):
        if self._evaluation:  # the saver may delete its checkpoint
            concurrent.futures.wait([self._evaluation])

    def after_save(self, session, global_step_value):
        self._wait()
        step = int(global_step_value)
        if self._last_step is None:
            self._last_step, is_due = step - step % self._every_n_steps, step > 0
        else:
            is_due = step >= self._last_step + self._every_n_steps
            self._last_step = step if is_due else self._last_step
        if is_due and not self._stop_hook.signal_number:
            self._evaluation = self._evaluate()

    def end(self, session, global_step_value):
        self._wait()

    def _wait(self):
        if self._evaluation:
            self._evaluation.result()


class CheckpointGuard(tf.compat.v1.train.CheckpointSaverListener):
    """Keeps a diverged model from being saved, and events from being lost to a kill.

    The loss is computed before the update, so NaN weights could be saved before a NaN loss stops
    training. A variable that is not trained may start at infinity: the best loss so far does.
    """

    def __init__(self, model_dir, before_first_save):
        """`before_first_save` is called once the variables are restored."""
        self._model_dir = model_dir
        self._before_first_save = before_first_save

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
            self._before_first_save()
            self._has_to_be = is_finite | self._is_trained
        if (self._has_to_be & ~is_finite).any():
            raise tf.compat.v1.train.NanLossDuringTrainingError
        # Training goes on from this checkpoint, so its events have to reach as far.
        get_file_writer(self._model_dir).flush()


class StopHook(tf.compat.v1.train.SessionRunHook):
    """Stops training after the current step if a signal came.

    The signals are SIGINT (Ctrl-C), SIGTERM and SIGHUP (a terminal was closed). `signal_number` is
    None until a signal comes. The hook belongs behind the hook that saves checkpoints, so that a
    signal during an evaluation does not cost another step.
    """

    def __init__(self):
        self.signal_number = None

    @contextlib.contextmanager
    def handlers(self):
        """Handles the signals in the `with` block; does nothing outside the main thread.

        A second SIGINT or SIGTERM ends the process. After the block the signal goes to its former
        handler: in a notebook, Ctrl-C is a KeyboardInterrupt then.
        """
        self.signal_number = None
        handled = list(_STOP_SIGNALS)
        hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
        if hang_up and signal.getsignal(hang_up) != signal.SIG_IGN:  # `nohup` ignores it
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
