import functools
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import predict
from contrib.learn import RunConfig
from contrib.learn.datasets import mnist
from handwriting.evidence import find_evidence, weigh
from handwriting.images import prepare_image
from hooks import IteratorInitializerHook
from tf_estimator import Estimator, EstimatorSpec

ROOT = pathlib.Path(__file__).parent.parent
MODEL_DIR_2017 = ROOT / "tests" / "model_dir_2017"
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
PRODUCT_FILES = sorted(
    [*ROOT.glob("*.py"), *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))]
)


def get_module(path):
    """The name that imports a product file: "contrib.learn" for contrib/learn/__init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# What is expected was measured on CPUs; a GPU would round float32 to ten bits in some products.
tf.config.experimental.enable_tensor_float_32_execution(False)

# A shell makes what it starts in the background ignore Ctrl-C, which tests of it would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mnist_data():
    return mnist.read_data_sets(mnist.BUNDLED_DATA_DIR)


@pytest.fixture(scope="session")
def small_mnist_data(mnist_data):
    """The first images of each split."""
    return mnist.Datasets(
        *(mnist.DataSet(images[:1000], labels[:1000]) for images, labels in mnist_data)
    )


@pytest.fixture
def model_dir_2017(tmp_path):
    return pathlib.Path(shutil.copytree(MODEL_DIR_2017, tmp_path / "model_dir_2017"))


@pytest.fixture
def set_flags(monkeypatch):
    """A function that defines the flags of a script and parses arguments; returns FLAGS.

    What a script sets for its whole process is left out.
    """
    known = set(flags.FLAGS)
    monkeypatch.setattr("gc.freeze", lambda: None)
    verbosity = flags.FLAGS["verbosity"].default

    def forget():
        flags.FLAGS.set_default("verbosity", verbosity)
        flags.FLAGS["verbosity"].unparse()
        for name in set(flags.FLAGS) - known:
            delattr(flags.FLAGS, name)

    def set_to(script, *arguments):
        forget()
        script.define_flags()
        flags.FLAGS(["script", *arguments])
        return flags.FLAGS

    yield set_to
    forget()


def get_environment(**variables):
    """Returns the environment of a user who has set nothing for TensorFlow but the variables."""
    inherited = {key: os.environ[key] for key in os.environ if not key.startswith("TF_")}
    return {**inherited, **variables}


def run_python(*arguments, cwd=ROOT, stdin=None, stdout=subprocess.PIPE, **variables):
    """Runs Python as a user does; returns the completed process, its output as text."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=get_environment(**variables),
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_script(name, *arguments, **options):
    """Runs an entry script; see `run_python`."""
    return run_python(ROOT / name, *arguments, **options)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A run of 200 steps with the bundled data: `(model_dir, completed process)`."""
    model_dir = tmp_path_factory.mktemp("finished") / "model"
    hparams = "train_steps=200,min_eval_frequency=50"
    process = run_script("mnist_estimator.py", "--model_dir", model_dir, "--hparams", hparams)
    return model_dir, process


@pytest.fixture(scope="session")
def small_data_dir(tmp_path_factory):
    """A data directory with the first 6,000 training and 1,000 test images, to be quick."""
    data_dir = tmp_path_factory.mktemp("data")
    for name in mnist.FILE_NAMES:
        path = mnist.BUNDLED_DATA_DIR / f"{name}.gz"
        n_dimensions = 3 if "images" in name else 1
        array = mnist.read_idx(path, n_dimensions)[: 6000 if name.startswith("train") else 1000]
        header = [0x0800 + n_dimensions, *array.shape]
        content = b"".join(number.to_bytes(4, "big") for number in header) + array.tobytes()
        (data_dir / name).write_bytes(content)
    return data_dir


@pytest.fixture
def start_python():
    """A function that starts Python with these arguments, with both streams in `stdout`.

    The processes do not outlive the test.
    """
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            env=get_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()


@pytest.fixture
def start_script(start_python):
    """A function that starts an entry script as a user does; see `start_python`."""
    return lambda name, *arguments: start_python(ROOT / name, *arguments)


def read_until(process, text):
    """Reads the output up to the line with `text`; returns all of it that was read."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"no {text!r} in:\n{''.join(lines)}")


def read_scalars(directory, tag):
    """Returns {step: value} of a chart, as TensorBoard shows it."""
    events = EventAccumulator(str(directory)).Reload()
    return {scalar.step: scalar.value for scalar in events.Scalars(tag)}


def read_values(directory):
    """Returns {tag: Summary.Value} and {tag: step} of events, the last of each tag."""
    values, steps = {}, {}
    for path in sorted(pathlib.Path(directory).glob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                values[value.tag], steps[value.tag] = value, event.step
    return values, steps


@functools.cache
def load_network_2017():
    """What the 2017 model predicts for each of the images, uint8 [B, 28, 28], as a function.

    And the evidence that it finds in nine of ten MNIST images.
    """
    with tf.Graph().as_default():
        images = tf.compat.v1.placeholder(tf.uint8, [None, 28, 28])
        estimator = predict.load_estimator(MODEL_DIR_2017)
        predictions = estimator.model_fn(images, None, "infer", estimator.config).predictions
        session = tf.compat.v1.Session()
        checkpoint_path = tf.train.latest_checkpoint(MODEL_DIR_2017)
        tf.compat.v1.train.Saver().restore(session, checkpoint_path)

    def predict_all(batch):
        values = session.run(predictions, {images: np.stack(batch)})
        return [dict(zip(values, row)) for row in zip(*values.values())]

    logits = [prediction["logits"] for prediction in predict_all(predict.read_mnist_images(500))]
    return predict_all, np.percentile(find_evidence(logits), 10)


def read_page(pixels):
    """What predict.py says with the 2017 model of a page, uint8 [H, W] or [H, W, 3].

    Returns the image it shows, uint8 [28, 28], and the digit; each is None if there is no digit.
    """
    network, usual = load_network_2017()
    readings = prepare_image(pixels)
    predictions = network([reading.image for reading in readings])
    chosen, prediction = weigh(readings, predictions, usual)
    return (None, None) if chosen is None else (readings[chosen].image, prediction["class"])


def first_batch(input_fn, hooks):
    """What a session with the one `IteratorInitializerHook` of these hooks gets of the input."""
    [hook] = [hook for hook in hooks if isinstance(hook, IteratorInitializerHook)]
    with tf.Graph().as_default():
        batch = input_fn()
        with tf.compat.v1.train.MonitoredSession(hooks=[hook]) as session:
            return session.run(batch)


def save_checkpoints(directory, *steps):
    """Saves one variable at each step, as an Estimator does."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.create_global_step()
        tf.compat.v1.get_variable("weights", initializer=tf.ones([1000]))
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(save_relative_paths=True)
        for step in steps:
            path = str(directory / "model.ckpt")
            saver.save(session, path, global_step=step, write_meta_graph=False)


def make_tiny_estimator(model_dir, params=None, **run_config):
    """An Estimator of a few numbers that go to zero; it takes no time, and any params."""

    def model_fn(features, labels, mode, params):
        weights = tf.compat.v1.get_variable("weights", initializer=tf.ones([10]))
        loss = tf.reduce_mean(weights**2)
        optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.1)
        return EstimatorSpec(
            mode,
            loss=loss,
            predictions={"sum": tf.reduce_sum(weights) + features},
            train_op=optimizer.minimize(loss, tf.compat.v1.train.get_global_step()),
            eval_metric_ops={"mean": tf.compat.v1.metrics.mean(features)},
        )

    run_config = {"save_checkpoints_steps": 2, "log_step_count_steps": None, **run_config}
    config = RunConfig(model_dir=str(model_dir), **run_config)
    return Estimator(model_fn, config=config, params=params)
