"""`tf.contrib.legacy_seq2seq`: its decoder and its losses, of lists with a tensor for each step."""

import tensorflow.compat.v1 as tf

from contrib.names import find

__getattr__ = find(__name__, seq2seq=__name__)


def rnn_decoder(decoder_inputs, initial_state, cell, loop_function=None, scope=None):
    """Runs a cell over a list of inputs.

    Args:
      decoder_inputs: a list of float [B, I].
      initial_state: the cell's first state.
      cell: an `RNNCell`.
      loop_function: a function of the output before, [B, O], and the number of a step, which makes
        all inputs but the first; None to take those of the list.
      scope: a variable scope, "rnn_decoder" if None.

    Returns:
      `(outputs, state)`: a list of float [B, O], and the last state.
    """
    state, outputs = initial_state, []
    with tf.variable_scope(scope or "rnn_decoder") as variable_scope:
        for step, inputs in enumerate(decoder_inputs):
            if step > 0:
                variable_scope.reuse_variables()
                if loop_function is not None:
                    with tf.variable_scope("loop_function", reuse=True):
                        inputs = loop_function(outputs[-1], step)
            output, state = cell(inputs, state)
            outputs.append(output)
    return outputs, state


def sequence_loss_by_example(
    logits,
    targets,
    weights,
    average_across_timesteps=True,
    softmax_loss_function=None,
    name=None,
):
    """The cross-entropy of each sequence, weighted.

    Args:
      logits: a list of float [B, C].
      targets: a list of int [B], classes.
      weights: a list of float [B], 0 for what does not count.
      average_across_timesteps: whether the sum is divided by that of the weights.
      softmax_loss_function: a function of `labels` and `logits` to use for the cross-entropy.
      name: a name scope.

    Returns:
      float [B].

    Raises:
      ValueError: the lists are not equally long.
    """
    if not len(logits) == len(targets) == len(weights):
        raise ValueError(
            f"sequence_loss_by_example: {len(logits)} logits, {len(targets)} targets and "
            f"{len(weights)} weights; give equally many"
        )
    loss_function = softmax_loss_function or tf.nn.sparse_softmax_cross_entropy_with_logits
    with tf.name_scope(name, "sequence_loss_by_example", [*logits, *targets, *weights]):
        losses = [
            loss_function(labels=tf.reshape(target, [-1]), logits=logit) * weight
            for logit, target, weight in zip(logits, targets, weights)
        ]
        loss = tf.add_n(losses)  # [B]
        # Not a division by 0 where no weight counts.
        return loss / (tf.add_n(weights) + 1e-12) if average_across_timesteps else loss


def sequence_loss(
    logits,
    targets,
    weights,
    average_across_timesteps=True,
    average_across_batch=True,
    softmax_loss_function=None,
    name=None,
):
    """The sum of `sequence_loss_by_example`, or its mean if `average_across_batch`."""
    with tf.name_scope(name, "sequence_loss", [*logits, *targets, *weights]):
        losses = sequence_loss_by_example(
            logits, targets, weights, average_across_timesteps, softmax_loss_function
        )
        return tf.reduce_mean(losses) if average_across_batch else tf.reduce_sum(losses)
