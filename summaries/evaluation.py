"""Summaries of an evaluation: scalars of each class, the confusion matrix, mistakes."""

import io

import numpy as np
import tensorflow as tf

from contrib.learn.summary_writer_cache import get_file_writer
from summaries.pictures import draw_confusion_matrix, draw_mistakes

N_MISTAKES = 25
N_SCORES = 201  # bins of a probability; as many as TensorBoard's precision-recall curves have


class EvaluationSummaryHook(tf.compat.v1.train.SessionRunHook):
    """Writes summaries of an evaluation for TensorBoard.

    Precision, recall and the precision-recall curve of each class; if asked for, images of the
    confusion matrix and of the most confident mistakes. Local variables add up the batches, like
    the variables of `tf.compat.v1.metrics`.
    """

    def __init__(self, output_dir, images, labels, predictions, summary_images):
        """Takes tensors of the evaluation's graph, which has to be the default graph.

        Args:
          output_dir: the directory of the evaluation's events.
          images: uint8 [B, 28, 28].
          labels: int64 [B].
          predictions: `{"class": int64 [B], "probabilities": float32 [B, n_classes]}`.
          summary_images: whether to write image summaries.
        """
        self._output_dir = output_dir
        self._summary_images = summary_images
        classes, probabilities = predictions["class"], predictions["probabilities"]
        metrics = {
            "confusion_matrix": confusion_matrix(labels, classes, probabilities.shape[-1]),
            "score_counts": score_counts(labels, probabilities),
        }
        if summary_images:
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

    The next two functions and this function return `(value, update_op)`, like the functions of
    `tf.compat.v1.metrics`.
    """
    counts = _get_local_variable("confusion_matrix", [n_classes, n_classes], tf.int64)
    return counts, counts.scatter_nd_add(tf.stack([labels, classes], axis=-1), tf.ones_like(labels))


def score_counts(labels, probabilities):
    """Histograms of the probabilities, int32 [n_classes, 2, N_SCORES].

    The middle index is 1 for examples of the class, 0 for other examples.
    """
    n_classes = probabilities.shape[-1]
    counts = _get_local_variable("score_counts", [n_classes, 2, N_SCORES], tf.int32)
    bins = tf.cast(probabilities * (N_SCORES - 1), tf.int32)  # [B, n_classes]
    is_class = tf.one_hot(labels, n_classes, dtype=tf.int32)
    classes = tf.range(n_classes) + tf.zeros_like(bins)
    indices = tf.stack([classes, is_class, bins], axis=-1)  # [B, n_classes, 3]
    return counts, counts.scatter_nd_add(indices, tf.ones_like(bins))


def most_confident_mistakes(images, labels, classes, probabilities):
    """Keeps the mistakes with the highest probability, the highest first.

    `value` is [images, labels, classes, probabilities of the classes] of N_MISTAKES mistakes. An
    empty place has probability 0.
    """
    confidence = tf.where(tf.equal(labels, classes), 0.0, tf.reduce_max(probabilities, axis=-1))
    batch = [images, labels, classes, confidence]
    kept = [
        _get_local_variable(f"mistakes_{index}", [N_MISTAKES, *tensor.shape[1:]], tensor.dtype)
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


def _get_local_variable(name, shape, dtype):
    return tf.compat.v1.get_local_variable(
        name, shape, dtype, initializer=tf.compat.v1.zeros_initializer()
    )
