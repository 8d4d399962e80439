import json

import numpy as np
import pytest
import tensorflow as tf

import model
from model import HParams, model_fn
from tf_estimator import Estimator, EstimatorSpec, ModeKeys, RunConfig

SHAPES = {
    "MnistConvNet/conv1": [5, 5, 1, 20],
    "MnistConvNet/conv3": [5, 5, 20, 40],
    "MnistConvNet/fn5": [640, 256],
    "MnistConvNet/fn6": [256, 256],
    "MnistConvNet/output": [256, 10],
}


def spec_in(mode, params=None):
    """Builds `model_fn` in a new graph; returns the graph and the EstimatorSpec."""
    with tf.Graph().as_default() as graph:
        tf.compat.v1.train.create_global_step()
        images = tf.zeros([8, 28, 28], tf.uint8)
        labels = None if mode == ModeKeys.PREDICT else tf.zeros([8], tf.uint8)
        return graph, model_fn(images, labels, mode, params or HParams())


def variable_shapes(graph):
    variables = graph.get_collection(tf.compat.v1.GraphKeys.GLOBAL_VARIABLES)
    return {variable.op.name: variable.shape.as_list() for variable in variables}


def value_of(session, name):
    return session.run(f"{name}/Read/ReadVariableOp:0")


def test_training_variables_are_those_of_the_2017_checkpoint(model_dir_2017):
    graph, _ = spec_in(ModeKeys.TRAIN)
    assert variable_shapes(graph) == dict(tf.train.list_variables(str(model_dir_2017)))


def test_network_has_the_blogs_shapes():
    graph, _ = spec_in(ModeKeys.PREDICT)
    expected = {f"{name}/weights": shape for name, shape in SHAPES.items()}
    expected |= {f"{name}/biases": shape[-1:] for name, shape in SHAPES.items()}
    expected["global_step"] = []
    assert variable_shapes(graph) == expected


def test_weights_start_glorot_uniform_and_biases_zero():
    graph, _ = spec_in(ModeKeys.PREDICT)
    with tf.compat.v1.Session(graph=graph) as session, graph.as_default():
        session.run(tf.compat.v1.global_variables_initializer())
        weights, biases = (
            value_of(session, f"MnistConvNet/fn5/{name}") for name in ("weights", "biases")
        )
    limit = np.sqrt(6 / (640 + 256))
    assert 0.99 * limit < abs(weights).max() <= limit
    assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert not biases.any()


def test_predict_gives_class_probabilities_and_logits_only():
    _, spec = spec_in(ModeKeys.PREDICT)
    assert isinstance(spec, EstimatorSpec)
    assert sorted(spec.predictions) == ["class", "logits", "probabilities"]
    assert spec.loss is None
    assert spec.train_op is None


def test_eval_gives_loss_and_accuracy_without_a_train_op():
    _, spec = spec_in(ModeKeys.EVAL)
    assert spec.loss is not None
    assert "Accuracy" in spec.eval_metric_ops
    assert spec.train_op is None


def test_dropout_is_on_in_training_only():
    operations = {
        mode: [operation.name for operation in spec_in(mode)[0].get_operations()]
        for mode in (ModeKeys.TRAIN, ModeKeys.EVAL)
    }
    assert any("dropout" in name for name in operations[ModeKeys.TRAIN])
    assert not any("dropout" in name for name in operations[ModeKeys.EVAL])


def test_n_classes_sets_the_number_of_logits():
    _, spec = spec_in(ModeKeys.PREDICT, HParams(n_classes=47))
    assert spec.predictions["logits"].shape.as_list() == [8, 47]


def test_logits_of_the_2017_checkpoint_are_those_of_tensorflow_1(model_dir_2017, mnist_data):
    estimator = Estimator(model_fn, config=RunConfig(str(model_dir_2017)), params=HParams())
    dataset = lambda: tf.data.Dataset.from_tensor_slices(mnist_data.test.images).batch(1000)  # noqa: E731
    logits = np.array([prediction["logits"] for prediction in estimator.predict(dataset)])
    expected = np.load(model_dir_2017 / "test_logits_step1000.npz")["logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_learning_rate_is_the_given_one_not_the_checkpoints(model_dir_2017):
    graph, spec = spec_in(ModeKeys.TRAIN, HParams(learning_rate=0.5))
    with tf.compat.v1.Session(graph=graph) as session, graph.as_default():
        checkpoint = tf.train.latest_checkpoint(model_dir_2017)
        tf.compat.v1.train.Saver().restore(session, checkpoint)
        assert value_of(session, "OptimizeLoss/learning_rate") == np.float32(0.002)
        session.run(spec.train_op)
        assert value_of(session, "OptimizeLoss/learning_rate") == np.float32(0.5)


def test_bfloat16_keeps_the_variables_of_float32():
    graph, _ = spec_in(ModeKeys.TRAIN, HParams(precision="bfloat16"))
    float32_graph, _ = spec_in(ModeKeys.TRAIN)
    assert variable_shapes(graph) == variable_shapes(float32_graph)
    variables = graph.get_collection(tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES)
    assert {variable.dtype.base_dtype for variable in variables} == {tf.float32}


@pytest.mark.parametrize(
    ("flags", "precision"),
    [("fpu avx512_bf16 avx2", "bfloat16"), ("fpu avx2", "float32"), (None, "float32")],
)
def test_bfloat16_needs_a_processor_that_has_it(tmp_path, monkeypatch, flags, precision):
    if flags:
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    found = model.has_bfloat16(tmp_path / "cpuinfo")
    monkeypatch.setattr(model, "has_bfloat16", lambda: found)
    assert model.get_precision(HParams(precision="bfloat16")) == precision


def test_hparams_defaults_are_the_originals():
    assert HParams().values() == {
        "learning_rate": 0.002,
        "n_classes": 10,
        "train_steps": 5000,
        "min_eval_frequency": 100,
        "batch_size": 128,
        "precision": "float32",
    }


def test_parse_converts_each_value_to_its_type():
    params = HParams().parse("learning_rate=1, train_steps=2000")
    assert params == HParams(learning_rate=1.0, train_steps=2000)
    assert isinstance(params.learning_rate, float)


def test_hparams_are_immutable():
    with pytest.raises(AttributeError):
        HParams().learning_rate = 1


@pytest.mark.parametrize(
    "values",
    [
        "momentum=0.9",
        "train_steps",
        "train_steps=",
        "train_steps=0",
        "train_steps=1.5",
        "train_steps=many",
        "learning_rate=-0.1",
        "learning_rate=0",
        "learning_rate=nan",
        "learning_rate=inf",
        "n_classes=1",
        "batch_size=-1",
        "precision=float16",
    ],
)
def test_invalid_hparams_are_an_error_that_lists_the_valid_names(values):
    with pytest.raises(ValueError, match=values.split("=")[0]) as error:
        HParams().parse(values)
    assert all(name in str(error.value) for name in HParams._fields)
    assert "\n" not in str(error.value)


def test_hparams_are_kept_in_the_model_dir(tmp_path):
    params = HParams(n_classes=47, learning_rate=0.01)
    params.save(tmp_path)
    assert HParams.load(tmp_path) == params
    assert json.loads(params.to_json()) == params.values()


def test_a_model_dir_of_2017_has_the_default_hparams(tmp_path):
    assert HParams.load(tmp_path) == HParams()


@pytest.mark.parametrize("content", ["", "[]", '{"depth": 3}', '{"batch_size": null}'])
def test_damaged_hparams_file_is_named(tmp_path, content):
    (tmp_path / "hparams.json").write_text(content)
    with pytest.raises(ValueError, match=r"hparams\.json: "):
        HParams.load(tmp_path)
