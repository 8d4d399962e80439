import os

import numpy as np
import pytest
import tensorflow as tf

import model
from conftest import read_scalars
from contrib.learn import RunConfig
from mnist_estimator import get_hparams
from model import model_fn
from tf_estimator import Estimator, EstimatorSpec, ModeKeys

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
        return graph, model_fn(images, labels, mode, params or get_hparams())


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


@pytest.mark.parametrize(("layer", "shape"), SHAPES.items())
def test_weights_start_glorot_uniform_and_biases_zero(layer, shape):
    graph, _ = spec_in(ModeKeys.PREDICT)
    with tf.compat.v1.Session(graph=graph) as session, graph.as_default():
        session.run(tf.compat.v1.global_variables_initializer())
        weights, biases = (value_of(session, f"{layer}/{name}") for name in ("weights", "biases"))
    n_inputs, n_outputs = np.prod(shape[:-1]), np.prod([*shape[:-2], shape[-1]])
    limit = np.sqrt(6 / (n_inputs + n_outputs))
    assert 0.95 * limit < abs(weights).max() <= limit
    assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.1)
    assert not biases.any()


@pytest.fixture(scope="module")
def first_step():
    """What one step shows and leaves, from weights of zero: to them all classes are alike.

    Returns `(session, {tag: Summary.Value}, gradient)`, the latter of the output's biases, the only
    one that is not zero.
    """
    labels = np.array([0, 0, 0, 1, 2, 3, 4, 5])
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.compat.v1.train.create_global_step()
        images = tf.zeros([8, 28, 28], tf.uint8)
        params = get_hparams(learning_rate=0.25)
        spec = model_fn(images, tf.constant(labels, tf.uint8), ModeKeys.TRAIN, params)
        zeros = [
            variable.assign(tf.zeros_like(variable))
            for variable in tf.compat.v1.trainable_variables()
        ]
        merged = tf.compat.v1.summary.merge_all()
        shown = [spec.loss, "batch_loss:0", "batch_accuracy:0"]
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(zeros)
        summary, *shown = session.run([merged, *shown])
        assert shown == pytest.approx([np.log(10), np.log(10), 3 / 8])
        session.run(spec.train_op)
        summary = tf.compat.v1.Summary.FromString(summary)
        yield (
            session,
            {value.tag: value for value in summary.value},
            0.1 - np.bincount(labels, minlength=10) / 8,
        )


def test_training_shows_the_numbers_of_the_batch(first_step):
    _, values, gradient = first_step
    scalars = {
        tag: value.simple_value for tag, value in values.items() if value.HasField("simple_value")
    }
    assert scalars == pytest.approx(
        {
            "Accuracy": 3 / 8,
            "OptimizeLoss/loss": np.log(10),
            "OptimizeLoss/global_norm/gradient_norm": np.linalg.norm(gradient),
            "variables/learning_rate": 0.25,
        }
    )
    images = {tag for tag, value in values.items() if value.HasField("image")}
    assert images == {"pictures/batch/image", "pictures/conv1/image"}
    histogram = values["variables/MnistConvNet/output/biases_gradient"].histo
    assert (histogram.min, histogram.max) == pytest.approx((gradient.min(), gradient.max()))


def test_a_step_is_adams(first_step):
    session, _, gradient = first_step
    assert value_of(session, "global_step") == 1
    biases = "MnistConvNet/output/biases"
    first, second = (
        value_of(session, f"OptimizeLoss/{biases}/{slot}") for slot in ("Adam", "Adam_1")
    )
    np.testing.assert_allclose(first, (1 - 0.9) * gradient, rtol=1e-4)
    np.testing.assert_allclose(second, (1 - 0.999) * gradient**2, rtol=1e-4)
    np.testing.assert_allclose(value_of(session, biases), -0.25 * np.sign(gradient), rtol=1e-4)
    powers = [value_of(session, f"OptimizeLoss/beta{index}_power") for index in (1, 2)]
    assert powers == pytest.approx([0.9**2, 0.999**2])
    updates = [op for op in session.graph.get_operations() if op.type == "ResourceApplyAdam"]
    assert len(updates) == 2 * len(SHAPES)
    for update in updates:
        rate, *constants = session.run(list(update.inputs[5:9]))
        assert rate == 0.25
        assert constants == pytest.approx([0.9, 0.999, 1e-8])  # beta1, beta2, epsilon
        assert not update.get_attr("use_nesterov")


def test_training_without_summary_images_has_none():
    with tf.Graph().as_default():
        tf.compat.v1.train.create_global_step()
        images, labels = tf.zeros([8, 28, 28], tf.uint8), tf.zeros([8], tf.uint8)
        model_fn(images, labels, ModeKeys.TRAIN, get_hparams(), summary_images=False)
        summaries = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.SUMMARIES)
    assert "ImageSummary" not in {tensor.op.type for tensor in summaries}
    assert "HistogramSummary" in {tensor.op.type for tensor in summaries}


def test_accuracy_is_over_all_batches():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        labels = tf.compat.v1.placeholder(tf.int64, [None])
        value, update_op = model.get_eval_metric_ops(labels, tf.zeros_like(labels))["Accuracy"]
        session.run(tf.compat.v1.local_variables_initializer())
        for batch in ([0, 0, 0, 1], [0, 2]):
            session.run(update_op, {labels: batch})
        assert session.run(value) == pytest.approx(4 / 6)


def test_predict_gives_class_probabilities_and_logits_only():
    _, spec = spec_in(ModeKeys.PREDICT)
    assert isinstance(spec, EstimatorSpec)
    assert sorted(spec.predictions) == ["class", "logits", "probabilities"]
    assert spec.loss is None
    assert spec.train_op is None
    assert list(spec.export_outputs) == ["serving_default"]
    served = spec.export_outputs["serving_default"].outputs
    assert served == {name: spec.predictions[name] for name in ("class", "probabilities")}


def test_eval_gives_loss_and_accuracy_without_a_train_op():
    _, spec = spec_in(ModeKeys.EVAL)
    assert spec.loss is not None
    assert "Accuracy" in spec.eval_metric_ops
    assert spec.train_op is None


@pytest.mark.parametrize(
    ("eval_name", "directory"), [("", "eval"), ("validation", "eval_validation")]
)
@pytest.mark.parametrize("summary_images", [True, False])
def test_an_evaluation_writes_summaries_to_its_directory(
    tmp_path, monkeypatch, eval_name, directory, summary_images
):
    made = []
    hook = tf.compat.v1.train.SessionRunHook()
    monkeypatch.setattr(model, "EvaluationSummaryHook", lambda *args: made.append(args) or hook)
    arguments = {"eval_name": eval_name, "summary_images": summary_images}
    config = RunConfig(model_dir=str(tmp_path))
    with tf.Graph().as_default():
        tf.compat.v1.train.create_global_step()
        images, labels = tf.zeros([8, 28, 28], tf.uint8), tf.zeros([8], tf.uint8)
        spec = model_fn(images, labels, ModeKeys.EVAL, get_hparams(), config, **arguments)
    [(output_dir, looked_at, of_labels, predictions, with_images)] = made
    assert spec.evaluation_hooks == (hook,)
    assert output_dir == str(tmp_path / directory)
    assert looked_at is images
    assert (of_labels.dtype, of_labels.shape.as_list()) == (tf.int64, [8])
    assert predictions["class"].shape.as_list() == [8]
    assert with_images == summary_images


def test_an_evaluation_without_a_config_writes_nothing_of_its_own():
    _, spec = spec_in(ModeKeys.EVAL)
    assert not spec.evaluation_hooks


def test_half_of_both_dense_layers_is_dropped_in_training_only():
    graph, _ = spec_in(ModeKeys.TRAIN)
    # Dropout keeps what has a random number of at least its rate.
    comparisons = [op for op in graph.get_operations() if op.type == "GreaterEqual"]
    with tf.compat.v1.Session(graph=graph) as session:
        rates = [session.run(op.inputs[1]) for op in comparisons if "/dropout" in op.name]
    assert rates == [0.5, 0.5]
    for mode in (ModeKeys.EVAL, ModeKeys.PREDICT):
        graph, _ = spec_in(mode)
        assert not [op for op in graph.get_operations() if "dropout" in op.name]


def test_n_classes_sets_the_number_of_logits():
    with tf.Graph().as_default():
        assert model.architecture(tf.zeros([8, 28, 28, 1]), False).shape.as_list() == [8, 10]
    _, spec = spec_in(ModeKeys.PREDICT, get_hparams(n_classes=47))
    assert spec.predictions["logits"].shape.as_list() == [8, 47]


def test_logits_of_the_2017_checkpoint_are_those_of_tensorflow_1(model_dir_2017, mnist_data):
    estimator = Estimator(
        model_fn, config=RunConfig(model_dir=str(model_dir_2017)), params=get_hparams()
    )
    dataset = lambda: tf.data.Dataset.from_tensor_slices(mnist_data.test.images).batch(1000)  # noqa: E731
    logits = np.array([prediction["logits"] for prediction in estimator.predict(dataset)])
    expected = np.load(model_dir_2017 / "test_logits_step1000.npz")["logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [[100, 28, 28], [100, 28, 28, 1]])
def test_images_may_be_as_the_original_had_them(dtype, shape, model_dir_2017, small_mnist_data):
    images = small_mnist_data.test.images[:100]
    given = np.float32(images / 255) if dtype == np.float32 else images
    estimator = Estimator(model_fn, str(model_dir_2017), params=get_hparams())

    def logits_of(array):
        predictions = estimator.predict(lambda: tf.data.Dataset.from_tensors(array))
        return [prediction["logits"] for prediction in predictions]

    np.testing.assert_array_equal(logits_of(given.reshape(shape)), logits_of(images))


@pytest.mark.parametrize("mode", [ModeKeys.TRAIN, ModeKeys.EVAL])
def test_what_is_looked_at_has_one_form(mode):
    with tf.Graph().as_default():
        tf.compat.v1.train.create_global_step()
        model_fn(tf.zeros([8, 28, 28, 1]), tf.zeros([8], tf.uint8), mode, get_hparams())


def test_learning_rate_is_the_given_one_not_the_checkpoints(model_dir_2017):
    graph, spec = spec_in(ModeKeys.TRAIN, get_hparams(learning_rate=0.5))
    with tf.compat.v1.Session(graph=graph) as session, graph.as_default():
        checkpoint = tf.train.latest_checkpoint(model_dir_2017)
        tf.compat.v1.train.Saver().restore(session, checkpoint)
        assert value_of(session, "OptimizeLoss/learning_rate") == np.float32(0.002)
        session.run(spec.train_op)
        assert value_of(session, "OptimizeLoss/learning_rate") == np.float32(0.5)


@pytest.mark.parametrize(("step", "factor"), [(0, 1), (500, 0.8535534), (1000, 0.5), (2000, 0)])
def test_learning_rate_decays_by_half_a_cosine(step, factor):
    params = get_hparams(learning_rate=0.1, train_steps=2000, learning_rate_decay="cosine")
    graph, spec = spec_in(ModeKeys.TRAIN, params)
    with tf.compat.v1.Session(graph=graph) as session, graph.as_default():
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(tf.compat.v1.train.get_global_step().assign(step))
        session.run(spec.train_op)
        rate = value_of(session, "OptimizeLoss/learning_rate")
        assert rate == pytest.approx(0.1 * factor, abs=1e-7)
        assert session.run(tf.compat.v1.train.get_global_step()) == step + 1


def test_decay_goes_on_where_training_stopped(tmp_path, small_mnist_data):
    images, labels = (array[:8] for array in small_mnist_data.train)
    params = get_hparams(learning_rate=0.2, train_steps=4, learning_rate_decay="cosine")
    config = RunConfig(model_dir=str(tmp_path), save_summary_steps=1, log_step_count_steps=None)
    for max_steps in (2, 4):
        estimator = Estimator(model_fn, config=config, params=params)
        dataset = lambda: tf.data.Dataset.from_tensors((images, labels)).repeat()  # noqa: E731
        estimator.train(dataset, max_steps=max_steps)
    expected = {1: 0.2, 2: 0.17071068, 3: 0.1, 4: 0.02928932}
    assert read_scalars(tmp_path, "variables/learning_rate") == pytest.approx(expected)


def test_decay_keeps_the_variables_of_a_constant_rate():
    graph, _ = spec_in(ModeKeys.TRAIN, get_hparams(learning_rate_decay="cosine"))
    assert variable_shapes(graph) == variable_shapes(spec_in(ModeKeys.TRAIN)[0])


def test_bfloat16_keeps_the_variables_of_float32():
    graph, _ = spec_in(ModeKeys.TRAIN, get_hparams(precision="bfloat16"))
    float32_graph, _ = spec_in(ModeKeys.TRAIN)
    assert variable_shapes(graph) == variable_shapes(float32_graph)
    variables = graph.get_collection(tf.compat.v1.GraphKeys.TRAINABLE_VARIABLES)
    assert {variable.dtype.base_dtype for variable in variables} == {tf.float32}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_layers_compute_in_the_precision_and_the_rest_in_float32(precision, monkeypatch):
    monkeypatch.setattr(model, "has_bfloat16", lambda: True)
    graph, spec = spec_in(ModeKeys.PREDICT, get_hparams(precision=precision))
    operations = graph.get_operations()
    types = [op.get_attr("T") for op in operations if op.type in ("Conv2D", "MatMul", "BiasAdd")]
    assert types == [tf.as_dtype(precision)] * 10
    assert spec.predictions["logits"].dtype == tf.float32
    assert spec.predictions["probabilities"].dtype == tf.float32


def test_the_flags_of_this_processor_are_found():
    if not os.path.exists("/proc/cpuinfo"):
        pytest.skip("only Linux has /proc/cpuinfo")
    assert model.has_bfloat16() is not None


@pytest.mark.parametrize(
    ("flags", "gpus", "precision", "message"),
    [
        ("fpu avx512_bf16 avx2", [], "bfloat16", None),
        ("Features : asimd bf16", [], "bfloat16", None),
        ("fpu avx2", [], "float32", "computing in float32 instead"),
        ("fpu avx2", ["GPU:0"], "bfloat16", None),
        (None, [], "bfloat16", "it is not known here"),
    ],
)
def test_bfloat16_needs_a_processor_that_has_it(
    tmp_path, monkeypatch, flags, gpus, precision, message
):
    if flags:
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    found = model.has_bfloat16(tmp_path / "cpuinfo")
    monkeypatch.setattr(model, "has_bfloat16", lambda: found)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    messages = []
    monkeypatch.setattr(model.logging, "log_first_n", lambda *args: messages.append(args[1:]))
    assert model.get_precision(get_hparams(precision="bfloat16")) == precision
    assert [(message in text, times) for text, times in messages] == (
        [(True, 1)] if message else []
    )


def session_config(n_threads, n_operations):
    return tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=n_threads, inter_op_parallelism_threads=n_operations
    )


@pytest.mark.parametrize(
    ("config", "n_towers"),
    [(None, 1), (session_config(0, 0), 1), (session_config(2, 2), 1), (session_config(1, 3), 3)],
)
def test_a_session_with_one_thread_for_an_operation_computes_a_batch_in_parts(config, n_towers):
    run_config = RunConfig(model_dir="model", session_config=config)
    assert model.get_n_towers(run_config) == n_towers


def test_a_model_without_a_run_config_has_one_tower():
    assert model.get_n_towers(None) == 1


@pytest.mark.parametrize("batch_size", [1, 5, 8])
def test_towers_share_their_variables_and_give_the_logits_of_the_whole_batch(batch_size):
    images = np.random.default_rng(0).random([batch_size, 28, 28, 1], np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        inputs = tf.constant(images)
        logits = [model.towers(inputs, n, is_training=False) for n in (1, 2, 3)]
        session.run(tf.compat.v1.global_variables_initializer())
        one, *others = session.run(logits)
        assert len(tf.compat.v1.trainable_variables()) == 10
    for other in others:
        np.testing.assert_allclose(other, one, atol=1e-6)
