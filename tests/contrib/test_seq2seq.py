import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.ops import rnn_cell_impl

from contrib import legacy_seq2seq, rnn, seq2seq

LOGITS = np.random.RandomState(0).normal(size=[2, 3, 4]).astype(np.float32)
TARGETS = np.array([[0, 1, 2], [3, 2, 1]])
WEIGHTS = np.array([[1, 1, 0], [1, 0.5, 0]], np.float32)
ARRAYS = (LOGITS, TARGETS, WEIGHTS)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
LOSSES = WEIGHTS * -np.log(np.take_along_axis(PROBABILITIES, TARGETS[..., None], -1)[..., 0])


def run(function):
    """Builds tensors in a graph of their own and returns their values."""
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = function()
        session.run(tf.global_variables_initializer())
        return session.run(tensors)


def test_the_loss_of_sequences_is_the_mean_that_is_asked_for():

    def get_loss(*over):
        return run(lambda: seq2seq.sequence_loss(*map(tf.constant, ARRAYS), *over))

    for over_time, over_batch, axis in (
        (True, True, None),
        (True, False, 1),
        (False, True, 0),
        (False, False, ()),
    ):
        loss = get_loss(over_time, over_batch)
        expected = LOSSES if axis == () else LOSSES.sum(axis) / (WEIGHTS.sum(axis) + 1e-12)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_the_loss_of_sequences_takes_another_loss_function():
    loss = run(
        lambda: seq2seq.sequence_loss(
            *map(tf.constant, ARRAYS), softmax_loss_function=lambda labels, logits: tf.ones([6])
        )
    )
    assert loss == pytest.approx(1)


def test_sequences_of_another_shape_are_an_error():
    with tf.Graph().as_default(), pytest.raises(ValueError, match="has to have 2 dimensions"):
        seq2seq.sequence_loss(tf.constant(LOGITS), tf.constant(TARGETS[0]), tf.constant(WEIGHTS))


def test_the_losses_of_lists_are_those_of_each_example():
    lists = [list(np.moveaxis(array, 1, 0)) for array in ARRAYS]
    expected = LOSSES.sum(1) / WEIGHTS.sum(1)
    for loss, value in (
        (lambda: legacy_seq2seq.sequence_loss_by_example(*lists), expected),
        (lambda: legacy_seq2seq.sequence_loss_by_example(*lists, False), LOSSES.sum(1)),
        (lambda: legacy_seq2seq.sequence_loss(*lists), expected.mean()),
        (lambda: legacy_seq2seq.sequence_loss(*lists, average_across_batch=False), expected.sum()),
    ):
        np.testing.assert_allclose(run(loss), value, rtol=1e-5)
    with pytest.raises(ValueError, match="2 logits, 3 targets"):
        legacy_seq2seq.sequence_loss_by_example(lists[0][:2], *lists[1:])


def test_a_decoder_takes_its_inputs_or_what_the_loop_function_makes_of_its_outputs():
    def cell(inputs, state):
        return inputs + state, state + 1

    inputs = [1.0, 2.0, 3.0]
    assert legacy_seq2seq.rnn_decoder(inputs, 10.0, cell) == ([11, 13, 15], 13)
    loop = lambda output, step: output * step  # noqa: E731
    assert legacy_seq2seq.rnn_decoder(inputs, 10.0, cell, loop) == ([11, 22, 56], 13)


def test_the_second_layer_in_both_directions_takes_what_both_of_the_first_gave():
    inputs = np.random.RandomState(0).normal(size=[2, 3, 4]).astype(np.float32)

    def build():
        cells = [[rnn_cell_impl.GRUCell(units) for units in (5, 6)] for _ in range(2)]
        outputs, states_fw, states_bw = rnn.stack_bidirectional_dynamic_rnn(
            *cells, inputs, dtype=tf.float32
        )
        names = [variable.name for variable in tf.trainable_variables()]
        assert (
            "stack_bidirectional_rnn/cell_1/bidirectional_rnn/fw/gru_cell/gates/kernel:0" in names
        )
        return outputs, states_fw, states_bw

    outputs, states_fw, states_bw = run(build)
    assert outputs.shape == (2, 3, 12)
    assert [state.shape for state in (*states_fw, *states_bw)] == [(2, 5), (2, 6)] * 2
    np.testing.assert_allclose(outputs[:, -1, :6], states_fw[1])
    np.testing.assert_allclose(outputs[:, 0, 6:], states_bw[1])
    with pytest.raises(ValueError, match="0 cells_fw and 1 cells_bw"):
        rnn.stack_bidirectional_dynamic_rnn([], [None], inputs)
