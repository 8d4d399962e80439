"""The choice among the readings of a page."""

import numpy as np
import pytest

from handwriting.evidence import ENOUGH, find_evidence, weigh
from handwriting.images import Reading

USUAL = 10


def readings(*names, shares=(1, 1, 1)):
    return [Reading((name,), None, share) for name, share in zip(names, shares)]


def prediction(label, evidence):
    """Of a network that is sure of a label, with so much evidence in units of the usual."""
    logits = np.full(10, -20.0)
    logits[label] = evidence * USUAL
    probabilities = np.exp(logits - logits.max())
    return {"logits": logits, "probabilities": probabilities / probabilities.sum()}


def test_evidence_is_the_log_sum_exp_of_logits():
    assert find_evidence([np.log([1.0, 2, 5])]) == pytest.approx([np.log(8)])


def test_the_reading_with_most_evidence_answers():
    chosen, page = weigh(readings("wide", "wide"), [prediction(3, 0.5), prediction(8, 1.2)], USUAL)
    assert (chosen, page["class"]) == (1, 8)


def test_more_than_enough_evidence_is_no_better():
    predictions = [prediction(3, ENOUGH), prediction(8, 2 * ENOUGH)]
    assert weigh(readings("wide", "narrow"), predictions, USUAL)[0] == 0


def test_a_doubtful_reading_needs_more_evidence():
    predictions = [prediction(3, 0.9), prediction(8, 1.2)]
    assert weigh(readings("wide", "other side"), predictions, USUAL)[0] == 0


def test_a_reading_that_leaves_ink_out_needs_more_evidence():
    predictions = [prediction(3, 0.9), prediction(1, 1.2)]
    assert weigh(readings("wide", "wide", shares=(1, 0.1)), predictions, USUAL)[0] == 0


def test_readings_that_disagree_make_the_answer_unsure():
    names = readings("wide", "narrow")
    sure = weigh(names, [prediction(3, 1), prediction(3, 1.2)], USUAL)[1]
    unsure = weigh(names, [prediction(3, 1), prediction(8, 1.2)], USUAL)[1]
    assert sure["probabilities"][3] > 0.99
    assert 0.3 < unsure["probabilities"][3] < 0.9
    assert unsure["probabilities"].sum() == pytest.approx(1)


def test_several_readings_may_outvote_the_best():
    names = readings("wide", "one grey", "one grey")
    predictions = [prediction(8, 1.05), prediction(3, 1), prediction(3, 1)]
    assert weigh(names, predictions, USUAL)[0] == 1


def test_without_a_likely_class_there_is_no_digit():
    flat = {"logits": np.zeros(10), "probabilities": np.full(10, 0.1)}
    assert weigh(readings("wide"), [flat], USUAL)[0] is None


def test_what_is_framed_as_mnist_needs_no_evidence():
    chosen, page = weigh(readings("as it is"), [prediction(3, 0.1)], USUAL)
    assert (chosen, page["class"]) == (0, 3)
