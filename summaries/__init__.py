"""What TensorBoard shows beside the original's curves: pictures, curves of each class, texts."""

import io
import platform
import sys

import numpy as np
import tensorflow as tf

from command_line import quote
from summaries.pictures import draw_confusion_matrix, draw_mistakes
from tf_estimator import get_file_writer

N_MISTAKES = 25
N_SCORES = 201  # bins of a probability; as many as TensorBoard's precision-recall curves have
_EVALUATED = "evaluated"  # the graph's collection of what EvaluationSummaryHook looks at


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
            f"    python {' '.join(map(quote, sys.argv))}\n\n"
            f"Python {platform.python_version()}, TensorFlow {tf.__version__}\n\n"
            f"| hyperparameter | value |\n| --- | --- |\n{rows}"
        )
        step = session.run(tf.compat.v1.train.get_global_step())
        writer = get_file_writer(self._output_dir)
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
        get_file_writer(self._output_dir).add_summary(summary)


class EvaluationSummaryHook(tf.compat.v1.train.SessionRunHook):
    """Writes for TensorBoard what an evaluation got right and what wrong.

    Precision, recall and the precision-recall curve of each class; if asked for, pictures of the
    confusion matrix and of the most confident mistakes. Local variables gather it all batch by
    batch, as those of `tf.compat.v1.metrics` do.
    """

    def __init__(self, output_dir, summary_images):
        self._output_dir = output_dir
        self._summary_images = summary_images

    @staticmethod
    def look_at(images, labels, classes, probabilities):
        """Tells the hook of this graph which tensors to look at.

        They are uint8 [B, 28, 28], int64 [B], int64 [B] (the predicted ones), and float32
        [B, n_classes] in [0, 1].
        """
        for tensor in (images, labels, classes, probabilities):
            tf.compat.v1.add_to_collection(_EVALUATED, tensor)

    def begin(self):
        images, labels, classes, probabilities = tf.compat.v1.get_collection(_EVALUATED)
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
        get_file_writer(self._output_dir).add_summary(summary, step)


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


def add_image_summaries(images):
    """Shows the first images of a batch, uint8 [B, 28, 28], and the filters that look at them."""
    (weights,) = tf.compat.v1.trainable_variables("MnistConvNet/conv1/weights")  # [5, 5, 1, 20]
    with tf.name_scope("pictures"):
        filters = tf.transpose(weights[:, :, 0], [2, 0, 1])  # [20, 5, 5]
        tf.compat.v1.summary.image("batch", tile(images), max_outputs=1)
        tf.compat.v1.summary.image("conv1", tile(filters), max_outputs=1)


def tile(images, rows=4, columns=5):
    """One picture of the first images: [N, H, W] to [1, rows * (H + 1), columns * (W + 1), 1]."""
    height, width = images.shape[1] + 1, images.shape[2] + 1  # with a line between two images
    images = images[: rows * columns]
    missing = rows * columns - tf.shape(images)[0]
    darkest = tf.reduce_min(images)
    images = tf.pad(images, [[0, missing], [0, 1], [0, 1]], constant_values=darkest)
    images = tf.reshape(images, [rows, columns, height, width])
    images = tf.transpose(images, [0, 2, 1, 3])
    return tf.reshape(images, [1, rows * height, columns * width, 1])


def add_variable_summaries(learning_rate, gradients):
    """Shows the learning rate, and the spread of each variable and of its gradient.

    Args:
      learning_rate: a float or a scalar.
      gradients: list of `(gradient, variable)`.
    """
    with tf.name_scope("variables/"):  # the slash: not below the scope of the caller
        tf.compat.v1.summary.scalar("learning_rate", learning_rate)
        for gradient, variable in gradients:
            tf.compat.v1.summary.histogram(variable.op.name, variable)
            tf.compat.v1.summary.histogram(f"{variable.op.name}_gradient", gradient)
