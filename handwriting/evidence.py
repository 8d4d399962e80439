"""Weighs the readings of a page by the evidence that the network finds in them."""

import numpy as np

# Chosen on the validation split of MNIST, put on paper as in samples/variants.py. Evidence and
# doubts are in the same unit: nine of ten MNIST images have an evidence above 1.
DOUBTS = {
    "other side": 0.45,
    "inside": 0.5,
    "narrow": 0.3,
    "darkest": 0.3,
    "on flat paper": 0.2,
    "width 11": 0.7,
    "width 7": 0.3,
}
LEFT_OUT = 0.4  # doubt of a reading without any of the ink
ENOUGH = 2  # evidence; what has more is no better
LEAST = 0.08  # evidence of a digit, above that of logits that are all zero
SHARPNESS = 5  # how much the weight of a reading grows with its evidence


def find_evidence(logits):
    """How much a network's logits say that there is a digit (log-sum-exp); [B, N] to [B]."""
    return np.logaddexp.reduce(logits, -1)


def weigh(readings, predictions, usual):
    """Weighs the readings of a page: each answers for itself, by its evidence less its doubts.

    Args:
      readings: list of `Reading`.
      predictions: of the network, for each reading: `logits` and `probabilities`, [n_classes].
      usual: the evidence that nine of ten MNIST images have.

    Returns:
      The number of the reading that says most for the answer, or None if no reading is a digit; and
      `class` and `probabilities` of the page.
    """
    evidence = find_evidence([prediction["logits"] for prediction in predictions])
    probabilities = np.stack([prediction["probabilities"] for prediction in predictions])
    doubts = [
        LEFT_OUT * (1 - reading.share) + sum(DOUBTS.get(word, 0) for word in reading.name)
        for reading in readings
    ]
    scores = np.minimum(evidence / usual, ENOUGH) - doubts
    weights = np.exp(SHARPNESS * (scores - scores.max()))
    mixed = weights @ probabilities / weights.sum()
    answer = mixed.argmax()
    agreeing = np.where(probabilities.argmax(1) == answer, scores, -np.inf)
    chosen = agreeing.argmax()
    nothing = np.log(len(mixed))  # the evidence of logits that are all zero
    is_digit = evidence[chosen] - nothing >= LEAST * (usual - nothing)
    if not is_digit and readings[chosen].name != ("as it is",):
        chosen = None
    return chosen, {"class": answer, "probabilities": mixed}
