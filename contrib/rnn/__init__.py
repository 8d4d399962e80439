"""`tf.contrib.rnn`: cells and wrappers, which are `tf.nn.rnn_cell`'s, and what stacks them."""

import tensorflow.compat.v1 as tf

from contrib.names import find

__getattr__ = find(
    __name__, tf.nn.rnn_cell, tf.nn, core_rnn_cell=__name__, rnn=__name__, rnn_cell=__name__
)


def stack_bidirectional_dynamic_rnn(
    cells_fw,
    cells_bw,
    inputs,
    initial_states_fw=None,
    initial_states_bw=None,
    dtype=None,
    sequence_length=None,
    parallel_iterations=None,
    scope=None,
):
    """Runs layers of cells in both directions; each takes the outputs of both of the last.

    Args:
      cells_fw, cells_bw: a list of `RNNCell` for each direction, one for each layer.
      inputs: float [B, T, I].
      initial_states_fw, initial_states_bw: a list of their first states; None for zeros.
      dtype: of the states, where none are given.
      sequence_length: int [B].
      parallel_iterations: see `tf.nn.bidirectional_dynamic_rnn`.
      scope: a variable scope, "stack_bidirectional_rnn" if None.

    Returns:
      `(outputs, states_fw, states_bw)`: float [B, T, O] of both directions of the last layer, and
      tuples with the last state of each layer.

    Raises:
      ValueError: the lists are empty or not equally long.
    """
    if not cells_fw or len(cells_fw) != len(cells_bw):
        raise ValueError(
            f"stack_bidirectional_dynamic_rnn: {len(cells_fw)} cells_fw and {len(cells_bw)} "
            "cells_bw; give equally many, at least one"
        )
    no_states, states = [None] * len(cells_fw), []
    with tf.variable_scope(scope or "stack_bidirectional_rnn"):
        for layer, (cell_fw, cell_bw, state_fw, state_bw) in enumerate(
            zip(cells_fw, cells_bw, initial_states_fw or no_states, initial_states_bw or no_states)
        ):
            with tf.variable_scope(f"cell_{layer}"):
                outputs, last_states = tf.nn.bidirectional_dynamic_rnn(
                    cell_fw,
                    cell_bw,
                    inputs,
                    sequence_length=sequence_length,
                    initial_state_fw=state_fw,
                    initial_state_bw=state_bw,
                    dtype=dtype,
                    parallel_iterations=parallel_iterations,
                )
            inputs = tf.concat(outputs, 2)
            states.append(last_states)
    return (inputs, *zip(*states))
