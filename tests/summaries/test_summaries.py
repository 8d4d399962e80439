import io

import numpy as np
import pytest
import tensorflow as tf
from conftest import read_values
from PIL import Image
from tensorboard.plugins.hparams import plugin_data_pb2

import summaries


def test_confusion_matrix_has_labels_in_rows_and_adds_up():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        labels, classes = tf.constant([0, 1, 2, 2], tf.int64), tf.constant([0, 2, 2, 2], tf.int64)
        value, update_op = summaries.confusion_matrix(labels, classes, 3)
        session.run(tf.compat.v1.local_variables_initializer())
        for _ in range(2):
            session.run(update_op)
        assert session.run(value).tolist() == [[2, 0, 0], [0, 0, 2], [0, 0, 4]]


def test_scores_are_counted_by_class_and_bin():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        labels, probabilities = tf.constant([1, 0], tf.int64), tf.constant([[0, 1], [0.253, 0.747]])
        value, update_op = summaries.score_counts(labels, probabilities)
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
        value, update_op = summaries.most_confident_mistakes(*placeholders)
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
        monkeypatch.setattr(summaries, name, draw(name))
    hook = summaries.EvaluationSummaryHook(str(tmp_path), request.param)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.create_global_step()
        images = tf.reshape(tf.range(5 * 28 * 28) // 784, [5, 28, 28])
        labels, classes = tf.constant(LABELS, tf.int64), tf.constant(CLASSES, tf.int64)
        probabilities = tf.constant(PROBABILITIES)
        hook.look_at(tf.cast(images, tf.uint8), labels, classes, probabilities)
        hook.begin()
        session.run([tf.compat.v1.local_variables_initializer(), step.assign(7)])
        session.run(hook.before_run(None).fetches)
        hook.end(session)
    tf.compat.v1.summary.FileWriterCache.get(str(tmp_path)).flush()
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


def test_a_run_says_how_it_was_started_and_that_it_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(summaries.sys, "argv", ["mnist_estimator.py", "--model_dir", "a b"])
    hparams = {"learning_rate": 0.01, "precision": "bfloat16"}
    hook = summaries.RunSummaryHook(str(tmp_path), hparams)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.run(tf.compat.v1.train.create_global_step().assign(7))
        hook.after_create_session(session, None)
        hook.end(session)
    tf.compat.v1.summary.FileWriterCache.get(str(tmp_path)).flush()
    values, steps = read_values(tmp_path)
    text = values["run/text_summary"]
    assert steps["run/text_summary"] == 7
    assert tf.make_ndarray(text.tensor).item().decode() == (
        "    python mnist_estimator.py --model_dir 'a b'\n\n"
        f"Python {summaries.platform.python_version()}, TensorFlow {tf.__version__}\n\n"
        "| hyperparameter | value |\n| --- | --- |\n"
        "| learning_rate | 0.01 |\n| precision | bfloat16 |\n"
    )
    experiment, start, end = (
        plugin_data_pb2.HParamsPluginData.FromString(
            values[f"_hparams_/{name}"].metadata.plugin_data.content
        )
        for name in ("experiment", "session_start_info", "session_end_info")
    )
    types = {info.name: info.type for info in experiment.experiment.hparam_infos}
    assert types == {"learning_rate": 3, "precision": 1}  # float64, string
    metrics = [info.name.tag for info in experiment.experiment.metric_infos]
    assert metrics == ["Accuracy", "loss"]
    assert start.session_start_info.hparams["learning_rate"].number_value == 0.01
    assert start.session_start_info.hparams["precision"].string_value == "bfloat16"
    assert end.session_end_info.status == 1  # success


def test_tiles_are_in_rows_with_a_line_between_them():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = np.arange(3, 3 + 7 * 2 * 3, dtype=np.uint8).reshape([7, 2, 3])
        shown = session.run(summaries.tile(tf.constant(images), rows=2, columns=3))
        few = session.run(summaries.tile(tf.constant(images[:2]), rows=2, columns=3))
    assert shown.shape == few.shape == (1, 6, 12, 1)
    expected = np.full([6, 12], 3)
    for index in range(6):
        top, left = index // 3 * 3, index % 3 * 4
        expected[top : top + 2, left : left + 3] = images[index]
    np.testing.assert_array_equal(shown[0, :, :, 0], expected)
    expected[3:] = 3
    expected[:, 8:] = 3
    np.testing.assert_array_equal(few[0, :, :, 0], expected)


def test_a_training_batch_shows_twenty_images_and_filters():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        filters = np.arange(5 * 5 * 20, dtype=np.float32).reshape([5, 5, 1, 20])
        with tf.compat.v1.variable_scope("MnistConvNet/conv1"):
            tf.compat.v1.get_variable("weights", initializer=filters)
        images = np.arange(25 * 28 * 28).reshape([25, 28, 28]).astype(np.uint8)
        summaries.add_image_summaries(tf.constant(images))
        session.run(tf.compat.v1.global_variables_initializer())
        merged = session.run(tf.compat.v1.summary.merge_all())
        pictures = {
            value.tag: np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
            for value in tf.compat.v1.Summary.FromString(merged).value
        }
    batch, conv1 = pictures["pictures/batch/image"], pictures["pictures/conv1/image"]
    assert (batch.shape, conv1.shape) == ((116, 145), (24, 30))
    np.testing.assert_array_equal(batch[29:57, 29:57], images[6])
    shades = conv1[6:11, 6:11] / 255 * (filters.max() - filters.min()) + filters.min()
    np.testing.assert_allclose(shades, filters[:, :, 0, 6], atol=2)


def test_variables_show_the_learning_rate_and_how_they_spread():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        with tf.compat.v1.variable_scope("layer"):
            weights = tf.compat.v1.get_variable("weights", initializer=[1.0, 2.0])
        with tf.name_scope("caller"):
            summaries.add_variable_summaries(0.25, [(weights * 10, weights)])
        session.run(tf.compat.v1.global_variables_initializer())
        merged = tf.compat.v1.Summary.FromString(session.run(tf.compat.v1.summary.merge_all()))
    values = {value.tag: value for value in merged.value}
    assert values["variables/learning_rate"].simple_value == 0.25
    assert values["variables/layer/weights"].histo.sum == 3
    assert values["variables/layer/weights_gradient"].histo.sum == 30
    assert len(values) == 3
