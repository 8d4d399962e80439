"""The hooks of the blog's Experiment: what happens beside the steps of a session.

Life cycle of a `SessionRunHook`: `begin` once the graph is built, `after_create_session` each time
a session is made, `before_run` and `after_run` around each step, `end` after the last step unless
one raised.
"""

import contextlib
import io
import platform
import shlex
import signal
import sys
import time

import numpy as np
import tensorflow as tf
from absl import logging

from pictures import draw_confusion_matrix, draw_mistakes

N_MISTAKES = 25
N_SCORES = 201  # bins of a probability; as many as TensorBoard's precision-recall curves have
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

    def __init__(self, train_steps, loss, accuracy, batch_size, output_dir, every_n_steps=100):
        """`loss` and `accuracy` are names of scalar tensors in the training graph.

        Without `output_dir` TensorBoard gets nothing.
        """
        self._train_steps = train_steps
        self._names = {"loss": loss, "accuracy": accuracy}
        self._batch_size = batch_size
        self._output_dir = output_dir
        self._every_n_steps = every_n_steps

    def begin(self):
        graph = tf.compat.v1.get_default_graph()
        self._fetches = {
            key: graph.get_tensor_by_name(f"{name}:0") for key, name in self._names.items()
        }
        self._global_step = tf.compat.v1.train.get_global_step()
        self._fetches["stale_step"] = self._global_step

    def after_create_session(self, session, coord):
        self._first_step = self._last_step = session.run(self._global_step)
        self._start_time = time.time()
        self._step_time = 0

    def before_run(self, run_context):
        self._before_run_time = time.time()
        return tf.compat.v1.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values):
        self._step_time += time.time() - self._before_run_time
        # The step was fetched beside the update, so it may or may not include it.
        due = self._last_step - self._last_step % self._every_n_steps + self._every_n_steps
        if run_values.results["stale_step"] + 1 < due:
            return
        step = run_context.session.run(self._global_step)
        if step < due:
            return
        elapsed = time.time() - self._start_time
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


class RunSummaryHook(tf.compat.v1.train.SessionRunHook):
    """Writes for TensorBoard's tabs TEXT and HPARAMS how a training run was started and ended."""

    def __init__(self, output_dir, hparams):
        """`hparams` is a dict of numbers and strings, `output_dir` that of the evaluations.

        HPARAMS takes the metrics of a run from the directory of its hyperparameters. It can look
        into one below, but TensorBoard 2.21 does not find that if `--logdir` is `model_dir` itself.
        """
        self._output_dir = output_dir
        self._hparams = hparams

    def after_create_session(self, session, coord):
        # Imported here, as who only reads a digit would wait for it.
        from tensorboard.plugins.hparams import api_pb2
        from tensorboard.plugins.hparams import summary as hparams
        from tensorboard.plugins.text import summary as text

        types = {str: api_pb2.DATA_TYPE_STRING}
        hparam_infos = [
            api_pb2.HParamInfo(name=name, type=types.get(type(value), api_pb2.DATA_TYPE_FLOAT64))
            for name, value in self._hparams.items()
        ]
        # Without this list the tab would have a column for each scalar there is.
        metric_infos = [
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in ("Accuracy", "loss")
        ]
        rows = "".join(f"| {name} | {value} |\n" for name, value in self._hparams.items())
        description = (
            f"    python {shlex.join(sys.argv)}\n\n"
            f"Python {platform.python_version()}, TensorFlow {tf.__version__}\n\n"
            f"| hyperparameter | value |\n| --- | --- |\n{rows}"
        )
        step = session.run(tf.compat.v1.train.get_global_step())
        writer = tf.compat.v1.summary.FileWriterCache.get(self._output_dir)
        for summary in (
            hparams.experiment_pb(hparam_infos, metric_infos),
            hparams.session_start_pb(self._hparams),
            text.pb("run", description),
        ):
            writer.add_summary(summary, step)

    def end(self, session):
        from tensorboard.plugins.hparams import api_pb2
        from tensorboard.plugins.hparams import summary as hparams

        summary = hparams.session_end_pb(api_pb2.STATUS_SUCCESS)
        tf.compat.v1.summary.FileWriterCache.get(self._output_dir).add_summary(summary)


class EvaluationSummaryHook(tf.compat.v1.train.SessionRunHook):
    """Writes for TensorBoard what an evaluation got right and what wrong.

    Precision, recall and the precision-recall curve of each class; if asked for, pictures of the
    confusion matrix and of the most confident mistakes. Local variables gather it all batch by
    batch, as those of `tf.compat.v1.metrics` do.
    """

    def __init__(self, output_dir, images, labels, classes, probabilities, summary_images):
        """The four are names of tensors in the evaluation graph.

        They are uint8 [B, 28, 28], int64 [B], int64 [B] (the predicted ones), and float32
        [B, n_classes] in [0, 1].
        """
        self._output_dir = output_dir
        self._names = (images, labels, classes, probabilities)
        self._summary_images = summary_images

    def begin(self):
        graph = tf.compat.v1.get_default_graph()
        images, labels, classes, probabilities = (
            graph.get_tensor_by_name(f"{name}:0") for name in self._names
        )
        metrics = {
            "confusion_matrix": confusion_matrix(labels, classes, probabilities.shape[-1]),
            "score_counts": score_counts(labels, probabilities),
        }
        if self._summary_images:
            metrics["mistakes"] = most_confident_mistakes(images, labels, classes, probabilities)
        self._values = {name: value for name, (value, _) in metrics.items()}
        self._update_op = tf.group([update_op for _, update_op in metrics.values()])
        self._global_step = tf.compat.v1.train.get_global_step()

    def before_run(self, run_context):
        return tf.compat.v1.train.SessionRunArgs(self._update_op)

    def end(self, session):
        from tensorboard.plugins.pr_curve import summary as pr_curve  # see RunSummaryHook

        values, step = session.run([self._values, self._global_step])
        summary = tf.compat.v1.Summary()
        confusion = values["confusion_matrix"]
        for name, axis in (("precision", 0), ("recall", 1)):
            totals = np.maximum(confusion.sum(axis), 1)
            for index, fraction in enumerate(np.diag(confusion) / totals):
                summary.value.add(tag=f"per_class/{name}_{index}", simple_value=fraction)
        scores = np.tile((np.arange(N_SCORES) + 0.5) / (N_SCORES - 1), 2)  # the middle of each bin
        is_class = np.repeat([False, True], N_SCORES)
        for index, counts in enumerate(values["score_counts"]):
            summary.MergeFrom(
                pr_curve.pb(f"per_class/{index}", is_class, scores, N_SCORES, counts.ravel())
            )
        if self._summary_images:
            is_mistake = values["mistakes"][-1] > 0
            mistakes = [kept[is_mistake] for kept in values["mistakes"]]
            add_picture(summary, "mistakes/confusion_matrix", draw_confusion_matrix(confusion))
            add_picture(summary, "mistakes/most_confident", draw_mistakes(*mistakes))
        tf.compat.v1.summary.FileWriterCache.get(self._output_dir).add_summary(summary, step)


class EvaluationListener(tf.compat.v1.train.CheckpointSaverListener):
    """Calls `evaluate` after each checkpoint, except the one of step 0: nothing is trained there.

    That includes the first checkpoint after a resume. The run before may have ended between that
    checkpoint and its evaluation. Once training was asked to stop, no evaluation begins.
    """

    def __init__(self, evaluate, stop_hook):
        self._evaluate = evaluate
        self._stop_hook = stop_hook

    def after_save(self, session, global_step_value):
        if global_step_value > 0 and not self._stop_hook.signal_number:
            self._evaluate()


class CheckpointGuard(tf.compat.v1.train.CheckpointSaverListener):
    """Keeps a diverged model from being saved, and events from being lost to a kill.

    The loss of a step is that of the weights before it: the NaN that ends training comes too late
    to keep the weights that the step left out of a checkpoint.
    """

    def __init__(self, model_dir):
        self._model_dir = model_dir

    def begin(self):
        self._is_finite = tf.reduce_all(
            [
                tf.reduce_all(tf.math.is_finite(variable))
                for variable in tf.compat.v1.global_variables()
                if variable.dtype.is_floating
            ]
        )

    def before_save(self, session, global_step_value):
        if not session.run(self._is_finite):
            raise tf.compat.v1.train.NanLossDuringTrainingError
        # Training goes on from this checkpoint, so its curves have to reach as far.
        tf.compat.v1.summary.FileWriterCache.get(self._model_dir).flush()


class StopHook(tf.compat.v1.train.SessionRunHook):
    """Stops training after the current step once SIGINT (Ctrl-C) or SIGTERM came.

    `signal_number` is None until then. The hook belongs behind the one that saves checkpoints, so
    that a signal during an evaluation does not cost another step. A second signal ends the process.
    """

    def __init__(self):
        self.signal_number = None

    @contextlib.contextmanager
    def handlers(self):
        """Handles the signals in the `with` block; does nothing where they can't be handled."""
        try:
            previous = {number: signal.signal(number, self._handle) for number in _STOP_SIGNALS}
        except ValueError:  # not in the main thread
            previous = {}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

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


def confusion_matrix(labels, classes, n_classes):
    """Counts of label (rows) and predicted class (columns), int64 [n_classes, n_classes].

    This and the next two return `(value, update_op)`, like the functions of `tf.compat.v1.metrics`.
    """
    counts = _local_variable("confusion_matrix", [n_classes, n_classes], tf.int64)
    return counts, counts.scatter_nd_add(tf.stack([labels, classes], axis=-1), tf.ones_like(labels))


def score_counts(labels, probabilities):
    """Histograms of the probabilities, int32 [n_classes, 2, N_SCORES].

    The middle index tells the examples of that class (1) from the others (0).
    """
    n_classes = probabilities.shape[-1]
    counts = _local_variable("score_counts", [n_classes, 2, N_SCORES], tf.int32)
    bins = tf.cast(probabilities * (N_SCORES - 1), tf.int32)  # [B, n_classes]
    is_class = tf.one_hot(labels, n_classes, dtype=tf.int32)
    classes = tf.range(n_classes) + tf.zeros_like(bins)
    indices = tf.stack([classes, is_class, bins], axis=-1)  # [B, n_classes, 3]
    return counts, counts.scatter_nd_add(indices, tf.ones_like(bins))


def most_confident_mistakes(images, labels, classes, probabilities):
    """The mistakes with the highest probability, that one first.

    `value` is [images, labels, classes, probabilities of the classes] with N_MISTAKES each; what is
    not filled yet has probability 0.
    """
    confidence = tf.where(tf.equal(labels, classes), 0.0, tf.reduce_max(probabilities, axis=-1))
    batch = [images, labels, classes, confidence]
    kept = [
        _local_variable(f"mistakes_{index}", [N_MISTAKES, *tensor.shape[1:]], tensor.dtype)
        for index, tensor in enumerate(batch)
    ]
    candidates = [tf.concat(pair, axis=0) for pair in zip(kept, batch)]
    best = tf.math.top_k(candidates[-1], N_MISTAKES).indices
    update_ops = [
        variable.assign(tf.gather(candidate, best)) for variable, candidate in zip(kept, candidates)
    ]
    return kept, tf.group(update_ops)


def add_picture(summary, tag, picture):
    """Adds a `PIL.Image` to a `tf.compat.v1.Summary`."""
    png = io.BytesIO()
    picture.save(png, "PNG")
    image = summary.value.add(tag=tag).image
    image.width, image.height = picture.size
    image.encoded_image_string = png.getvalue()


def _local_variable(name, shape, dtype):
    return tf.compat.v1.get_local_variable(
        name, shape, dtype, initializer=tf.compat.v1.zeros_initializer()
    )
