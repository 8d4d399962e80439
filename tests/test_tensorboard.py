import io
import json
import re
import shutil
import subprocess
import sys
import time
import types
import urllib.parse
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from conftest import read_values
from PIL import Image

import inputs
import mnist_estimator
from contrib.learn import RunConfig
from contrib.learn.datasets import mnist
from mnist_estimator import get_hparams
from summaries import evaluation as evaluation_summaries

TRAIN_STEPS, EVAL_STEPS = [1, 101], [50, 100, 150, 200]
PARAMETERS = {
    f"MnistConvNet/{layer}/{kind}"
    for layer in ("conv1", "conv3", "fn5", "fn6", "output")
    for kind in ("weights", "biases")
}


@pytest.fixture(scope="module")
def tensorboard(finished_run, tmp_path_factory):
    """A function that reads from a TensorBoard server over two runs of 200 steps, `a` and `b`."""
    logdir = tmp_path_factory.mktemp("logdir")
    for name in ("a", "b"):
        shutil.copytree(finished_run[0], logdir / name)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0"]
    log = tmp_path_factory.mktemp("server") / "log"
    with open(log, "w") as file, subprocess.Popen(command, stdout=file, stderr=file) as server:
        try:
            address = wait_for(lambda: re.search(r"http://\S+(?= \(Press)", log.read_text()))[0]

            def get(path, json_data=None, **query):
                url = f"{address}data/plugin/{path}?{urllib.parse.urlencode(query)}"
                data = json.dumps(json_data).encode() if json_data else None
                request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request) as response:
                    return response.read()

            wait_for(lambda: len(json.loads(get("scalars/tags"))) == 4)
            yield get
        finally:
            server.terminate()


def wait_for(condition):
    deadline = time.time() + 60
    while time.time() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    raise TimeoutError


def steps_of_scalars(tensorboard, run):
    return {
        tag: [step for _, step, _ in json.loads(tensorboard("scalars/scalars", run=run, tag=tag))]
        for tag in json.loads(tensorboard("scalars/tags"))[run]
    }


def test_training_scalars_have_the_tags_and_steps_of_the_original_and_three_more(tensorboard):
    assert steps_of_scalars(tensorboard, "a") == {
        "OptimizeLoss/loss": TRAIN_STEPS,
        "OptimizeLoss/global_norm/gradient_norm": TRAIN_STEPS,
        "loss": TRAIN_STEPS,
        "global_step/sec": [101],
        "Accuracy": TRAIN_STEPS,
        "global_step/examples_per_sec": [100, 200],
        "variables/learning_rate": TRAIN_STEPS,
    }


def test_evaluation_scalars_have_a_value_for_each_evaluation(tensorboard):
    per_class = [
        f"per_class/{metric}_{index}" for metric in ("precision", "recall") for index in range(10)
    ]
    assert steps_of_scalars(tensorboard, "a/eval") == dict.fromkeys(
        ("Accuracy", "loss", *per_class), EVAL_STEPS
    )


@pytest.mark.parametrize(
    ("run", "tag", "steps", "size"),
    [
        ("a", "pictures/batch/image", TRAIN_STEPS, (145, 116)),
        ("a", "pictures/conv1/image", TRAIN_STEPS, (30, 24)),
        ("a/eval", "mistakes/confusion_matrix", EVAL_STEPS, (350, 350)),
        ("a/eval", "mistakes/most_confident", EVAL_STEPS, (350, 440)),
    ],
)
def test_images_are_pngs_of_the_right_size(tensorboard, run, tag, steps, size):
    images = json.loads(tensorboard("images/images", run=run, tag=tag, sample=0))
    assert [image["step"] for image in images] == steps
    for image in images:
        query = dict(urllib.parse.parse_qsl(image["query"]))
        picture = Image.open(io.BytesIO(tensorboard("images/individualImage", **query)))
        assert (picture.format, picture.size) == ("PNG", size)
        darkest, lightest = picture.convert("L").getextrema()
        assert darkest < lightest


@pytest.mark.parametrize(("run", "data"), [("a", "Training_data"), ("a/eval", "Test_data")])
def test_graph_shows_the_names_of_the_blog(tensorboard, run, data):
    names = re.findall(r'^  name: "(.*)"', tensorboard("graphs/graph", run=run).decode(), re.M)
    assert {name.partition("/")[0] for name in names} >= {data, "MnistConvNet"}


def test_histograms_of_each_variable_and_gradient_count_all_their_numbers(tensorboard):
    tags = json.loads(tensorboard("histograms/tags"))["a"]
    assert set(tags) == {
        f"variables/{name}{end}" for name in PARAMETERS for end in ("", "_gradient")
    }
    tag = "variables/MnistConvNet/conv1/weights"
    histograms = json.loads(tensorboard("histograms/histograms", run="a", tag=tag))
    assert [step for _, step, _ in histograms] == TRAIN_STEPS
    assert all(sum(count for *_, count in bins) == 5 * 5 * 20 for _, _, bins in histograms)


def test_hparams_compares_hyperparameters_and_final_accuracy_of_the_runs(tensorboard):
    experiment = json.loads(tensorboard("hparams/experiment", {"experimentName": ""}))
    assert [info["name"]["tag"] for info in experiment["metricInfos"]] == ["Accuracy", "loss"]
    request = {"allowedStatuses": ["STATUS_SUCCESS"], "startIndex": 0, "sliceSize": 10}
    groups = json.loads(tensorboard("hparams/session_groups", request))["sessionGroups"]
    assert sorted(group["name"] for group in groups) == ["a/eval", "b/eval"]
    accuracies = json.loads(tensorboard("scalars/scalars", run="a/eval", tag="Accuracy"))
    for group in groups:
        expected = get_hparams(train_steps=200, min_eval_frequency=50).values()
        assert group["hparams"] == expected
        metrics = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}
        assert metrics["Accuracy"] == accuracies[-1][-1]


def test_text_tells_command_versions_and_hyperparameters(tensorboard):
    (text,) = json.loads(tensorboard("text/text", run="a/eval", tag="run/text_summary"))
    for part in (
        "mnist_estimator.py --model_dir",
        tf.__version__,
        "<td>train_steps</td>\n<td>200<",
    ):
        assert part in text["text"]


@pytest.fixture(scope="module")
def evaluation(finished_run, mnist_data, tmp_path_factory):
    """What one evaluation draws and writes, and what the model says of each test image."""
    model_dir = tmp_path_factory.mktemp("evaluation") / "model"
    shutil.copytree(finished_run[0], model_dir, ignore=shutil.ignore_patterns("eval"))
    run_config = RunConfig(model_dir=str(model_dir))
    experiment = mnist_estimator.experiment_fn(run_config, get_hparams(), mnist.BUNDLED_DATA_DIR)
    drawn = {}

    def draw(name):
        return lambda *arrays: drawn.update({name: arrays}) or Image.new("RGB", (1, 1))

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("draw_confusion_matrix", "draw_mistakes"):
            monkeypatch.setattr(evaluation_summaries, name, draw(name))
        experiment.evaluate()
    input_fn, hook = inputs.get_test_inputs(mnist_estimator.EVAL_BATCH_SIZE, mnist_data)
    batches = experiment.estimator.predict(input_fn, hooks=[hook], yield_single_examples=False)
    probabilities, classes = zip(*((batch["probabilities"], batch["class"]) for batch in batches))
    return types.SimpleNamespace(
        confusion_matrix=drawn["draw_confusion_matrix"][0],
        mistakes=drawn["draw_mistakes"],
        values=read_values(model_dir / "eval")[0],
        classes=np.concatenate(classes),
        probabilities=np.concatenate(probabilities),
    )


def test_confusion_matrix_counts_the_predictions_of_all_batches(evaluation, mnist_data):
    expected = np.zeros([10, 10])
    np.add.at(expected, (mnist_data.test.labels, evaluation.classes), 1)
    np.testing.assert_array_equal(evaluation.confusion_matrix, expected)


def test_mistakes_are_the_most_confident_of_all_batches_in_order(evaluation, mnist_data):
    confidence = evaluation.probabilities.max(axis=-1)
    confidence[mnist_data.test.labels == evaluation.classes] = 0
    order = np.argsort(-confidence, kind="stable")[: evaluation_summaries.N_MISTAKES]
    expected = (*mnist_data.test, evaluation.classes, confidence)
    for mistakes, values in zip(evaluation.mistakes, expected):
        np.testing.assert_array_equal(mistakes, values[order])


@pytest.mark.parametrize("index", range(10))
def test_precision_and_recall_are_those_of_the_predictions(evaluation, mnist_data, index):
    is_label, is_predicted = mnist_data.test.labels == index, evaluation.classes == index
    hits = np.sum(is_label & is_predicted)
    values = evaluation.values
    precision, recall = (values[f"per_class/{name}_{index}"] for name in ("precision", "recall"))
    assert precision.simple_value == pytest.approx(hits / is_predicted.sum())
    assert recall.simple_value == pytest.approx(hits / is_label.sum())


@pytest.mark.parametrize("index", range(10))
def test_pr_curve_has_the_counts_of_a_threshold_of_one_half(evaluation, mnist_data, index):
    is_label = mnist_data.test.labels == index
    is_predicted = evaluation.probabilities[:, index] >= 0.5
    curve = tf.make_ndarray(evaluation.values[f"per_class/{index}/pr_curves"].tensor)
    assert curve[:4, evaluation_summaries.N_SCORES // 2].tolist() == [
        np.sum(is_label & is_predicted),
        np.sum(~is_label & is_predicted),
        np.sum(~is_label & ~is_predicted),
        np.sum(is_label & ~is_predicted),
    ]


def test_without_summary_images_there_are_scalars_but_no_images(tmp_path):
    run_config = RunConfig(model_dir=str(tmp_path))
    params = get_hparams(train_steps=1)
    data_dir = mnist.BUNDLED_DATA_DIR
    mnist_estimator.experiment_fn(
        run_config, params, data_dir, summary_images=False
    ).train_and_evaluate()
    for directory, tag in (
        (tmp_path, "OptimizeLoss/loss"),
        (tmp_path / "eval", "per_class/recall_0"),
    ):
        values, _ = read_values(directory)
        assert tag in values
        assert not any(value.HasField("image") for value in values.values())
