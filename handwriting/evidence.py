"""Weighs the readings of a page by the evidence that the network finds in them."""

import numpy as np

# The unit of evidence and doubts: nine of ten MNIST images have an evidence above 1.
DOUBTS = {"other side": 0.6, "darkest": 0.2, "on flat paper": 0.4, "widened": 0.55, "around": 1}
LEFT_OUT = 0.7  # doubt of a reading without any of the ink
ENOUGH = 2  # evidence; more evidence does not count
LEAST = 0.3  # the least probability of a digit; a page with less has none
SHARPNESS = 3  # how much the weight of a reading grows with its evidence


def find_evidence(logits):
    """Returns the evidence for a digit, the log-sum-exp of a network's logits; [B, N] to [B]."""
    return np.logaddexp.reduce(logits, -1)


def weigh(readings, predictions, usual):
    """Weighs the readings of a page by their evidence less their doubts.

    Takes a list of `Reading`, the network's prediction for each, and the evidence that nine of ten
    MNIST images have. Returns the number of the reading that says most for the answer, or None if
    no reading shows a digit; and `class` and `probabilities` [n_classes] of the page.
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
    chosen = np.where(probabilities.argmax(1) == answer, scores, -np.inf).argmax()
    is_digit = mixed[answer] >= LEAST or readings[chosen].name == ("as it is",)
    return chosen if is_digit else None, {"class": answer, "probabilities": mixed}
