"""The hooks of the blog's Experiment.

Life cycle of a `SessionRunHook`: `begin` when the graph is built, `after_create_session` when a
session is created, `before_run` and `after_run` around each step, `end` after the last step, unless
a step failed.
"""

import time

import tensorflow as tf
from absl import logging

from contrib.learn.summary_writer_cache import get_file_writer

# Names of two scalars in the training graph.
BATCH_LOSS, BATCH_ACCURACY = "batch_loss", "batch_accuracy"


class IteratorInitializerHook(tf.compat.v1.train.SessionRunHook):
    """Initializes a dataset's iterator as soon as the session is created (blog: "Dataset").

    The input function sets `iterator_initializer_func`, a function of the session. The hook looks
    the function up when the session is created, because each graph has an iterator of its own.
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

    The steps per second count the time inside the steps. The time left counts evaluations, too.
    TensorBoard gets the examples per second.
    """

    def __init__(self, train_steps, batch_size, output_dir):
        """Without `output_dir` TensorBoard gets nothing."""
        self._train_steps = train_steps
        self._batch_size = batch_size
        self._output_dir = output_dir

    def begin(self):
        graph = tf.compat.v1.get_default_graph()
        self._fetches = {
            "loss": graph.get_tensor_by_name(f"{BATCH_LOSS}:0"),
            "accuracy": graph.get_tensor_by_name(f"{BATCH_ACCURACY}:0"),
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
        # The step is fetched during the update, so it may be the step before or after the update.
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
            get_file_writer(self._output_dir).add_summary(summary, step)
        self._last_step = step
        self._step_time = 0


def format_time(seconds):
    """Returns a text such as "47 s" or "3 min 5 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
