"""`tf.contrib.seq2seq`: its loss."""

import tensorflow.compat.v1 as tf

from contrib.names import find

__getattr__ = find(__name__, loss=__name__)


def sequence_loss(
    logits,
    targets,
    weights,
    average_across_timesteps=True,
    average_across_batch=True,
    softmax_loss_function=None,
    name=None,
):
    """The cross-entropy of sequences, weighted, as `tf.contrib.seq2seq.sequence_loss` computes it.

    Args:
      logits: float [B, T, C].
      targets: int [B, T], classes.
      weights: float [B, T], 0 for what does not count.
      average_across_timesteps, average_across_batch: whether that dimension is averaged; else it is
        kept.
      softmax_loss_function: a function of `labels` and `logits` to use for the cross-entropy.
      name: a name scope.

    Returns:
      float, without the dimensions that are averaged.

    Raises:
      ValueError: an argument has another number of dimensions.
    """
    for tensor, rank in ((logits, 3), (targets, 2), (weights, 2)):
        if tensor.shape.ndims != rank:
            raise ValueError(f"sequence_loss: {tensor} has to have {rank} dimensions")
    loss_function = softmax_loss_function or tf.nn.sparse_softmax_cross_entropy_with_logits
    with tf.name_scope(name, "sequence_loss", [logits, targets, weights]):
        loss = loss_function(
            labels=tf.reshape(targets, [-1]),
            logits=tf.reshape(logits, [-1, tf.shape(logits)[2]]),
        )  # [B * T]
        loss = tf.reshape(loss, tf.shape(targets)) * weights  # [B, T]
        averaged = (average_across_batch, average_across_timesteps)
        axes = [axis for axis in (0, 1) if averaged[axis]]
        if not axes:
            return loss
        # Not a division by 0 where no weight counts.
        return tf.reduce_sum(loss, axes) / (tf.reduce_sum(weights, axes) + 1e-12)
