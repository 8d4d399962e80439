import io

import numpy as np
import pytest
import tensorflow as tf
from conftest import read_values
from PIL import Image

from contrib.learn.summary_writer_cache import get_file_writer
from summaries import evaluation


def test_confusion_matrix_has_labels_in_rows_and_adds_up():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        labels, classes = tf.constant([0, 1, 2, 2], tf.int64), tf.constant([0, 2, 2, 2], tf.int64)
        value, update_op = evaluation.confusion_matrix(labels, classes, 3)
        session.run(tf.compat.v1.local_variables_initializer())
        for _ in range(2):
            session.run(update_op)
        assert session.run(value).tolist() == [[2, 0, 0], [0, 0, 2], [0, 0, 4]]


def test_scores_are_counted_by_class_and_bin():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        labels, probabilities = tf.constant([1, 0], tf.int64), tf.constant([[0, 1], [0.253, 0.747]])
        value, update_op = evaluation.score_counts(labels, probabilities)
        session.run(tf.compat.v1.local_variables_initializer())
        for _ in range(2):
            session.run(update_op)
        counts = session.run(value)
    assert counts.shape == (2, 2, 201)
    # Class, whether the label is that class, bin of 1/200.
    assert {tuple(index): counts[tuple(index)] for index in np.argwhere(counts)} == {
        (0, 0, 0): 2,
        (0, 1, 50): 2,
        (1, 1, 200): 2,
        (1, 0, 149): 2,
    }


def test_the_most_confident_mistakes_of_all_batches_are_kept():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, [80, 28, 28], np.uint8)
    labels, classes = np.arange(80) % 2, np.arange(80) % 3 % 2
    probabilities = rng.random([80, 2], np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        arrays = (images, labels, classes, probabilities)
        placeholders = [
            tf.compat.v1.placeholder(array.dtype, [None, *array.shape[1:]]) for array in arrays
        ]
        value, update_op = evaluation.most_confident_mistakes(*placeholders)
        session.run(tf.compat.v1.local_variables_initializer())
        for start in (0, 20, 40):
            end = 80 if start == 40 else start + 20
            batch = [array[start:end] for array in arrays]
            session.run(update_op, dict(zip(placeholders, batch)))
            wrong = np.flatnonzero(labels[:end] != classes[:end])
            order = wrong[np.argsort(-probabilities[wrong].max(1))][:25]
            kept = session.run(value)
            assert len(kept[3]) == 25
            expected = (images, labels, classes, probabilities.max(1))
            for kept_values, values in zip(kept, expected):
                np.testing.assert_array_equal(kept_values[: len(order)], values[order])
            assert not kept[3][len(order) :].any()  # not filled yet
    assert len(order) == 25


# Three classes; the network says 2 only once, and 1 never.
LABELS, CLASSES = [0, 0, 1, 2, 2], [0, 0, 0, 0, 2]
PROBABILITIES = [[0.9, 0.1, 0], [0.8, 0.1, 0.1], [0.7, 0.3, 0], [0.6, 0, 0.4], [0.1, 0.1, 0.8]]


@pytest.fixture(params=[True, False], ids=["with pictures", "without pictures"])
def evaluated(request, tmp_path, monkeypatch):
    """`(summary_images, {tag: value}, what was drawn)` of an evaluation at step 7."""
    drawn = {}

    def draw(name):
        return lambda *arrays: drawn.update({name: arrays}) or Image.new("RGB", (3, 2), "red")

    for name in ("draw_confusion_matrix", "draw_mistakes"):
        monkeypatch.setattr(evaluation, name, draw(name))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.create_global_step()
        images = tf.reshape(tf.range(5 * 28 * 28) // 784, [5, 28, 28])
        labels, classes = tf.constant(LABELS, tf.int64), tf.constant(CLASSES, tf.int64)
        hook = evaluation.EvaluationSummaryHook(
            str(tmp_path),
            tf.cast(images, tf.uint8),
            labels,
            {"class": classes, "probabilities": tf.constant(PROBABILITIES)},
            request.param,
        )
        hook.begin()
        session.run([tf.compat.v1.local_variables_initializer(), step.assign(7)])
        session.run(hook.before_run(None).fetches)
        hook.end(session)
    get_file_writer(str(tmp_path)).flush()
    values, steps = read_values(tmp_path)
    assert set(steps.values()) == {7}
    return request.param, values, drawn


def test_precision_and_recall_of_each_class(evaluated):
    _, values, _ = evaluated
    fractions = {tag: value.simple_value for tag, value in values.items() if "_" in tag[-2:]}
    assert fractions == pytest.approx(
        {
            "per_class/precision_0": 2 / 4,
            "per_class/precision_1": 0,
            "per_class/precision_2": 1,
            "per_class/recall_0": 1,
            "per_class/recall_1": 0,
            "per_class/recall_2": 1 / 2,
        }
    )


def test_the_precision_recall_curve_of_each_class_at_each_threshold(evaluated):
    _, values, _ = evaluated
    for index in range(3):
        curve = tf.make_ndarray(values[f"per_class/{index}/pr_curves"].tensor)
        assert curve.shape == (6, 201)
        scores, is_class = np.array(PROBABILITIES)[:, index], np.array(LABELS) == index
        # Between the probabilities above, so that rounding does not matter.
        for threshold in (1, 15, 50, 90, 130, 150, 190, 199):
            found = scores > threshold / 200
            hits, errors = np.sum(found & is_class), np.sum(found & ~is_class)
            assert curve[:4, threshold].tolist() == [
                *(hits, errors, np.sum(~found & ~is_class), np.sum(~found & is_class))
            ]


def test_pictures_are_drawn_if_they_are_asked_for(evaluated):
    summary_images, values, drawn = evaluated
    tags = {"mistakes/confusion_matrix", "mistakes/most_confident"}
    if not summary_images:
        assert not drawn
        assert not any(value.HasField("image") for value in values.values())
        return
    for tag in tags:
        image = values[tag].image
        assert (image.width, image.height) == (3, 2)
        picture = Image.open(io.BytesIO(image.encoded_image_string))
        assert (picture.format, picture.getpixel((0, 0))) == ("PNG", (255, 0, 0))
    assert drawn["draw_confusion_matrix"][0].tolist() == [[2, 0, 0], [1, 0, 0], [1, 0, 1]]
    images, labels, classes, probabilities = drawn["draw_mistakes"]
    assert images[:, 0, 0].tolist() == [2, 3]
    assert (labels.tolist(), classes.tolist()) == ([1, 2], [0, 0])
    assert probabilities == pytest.approx([0.7, 0.6])
