import importlib.util
import json
import os
import shutil

import numpy as np
import pytest
from conftest import ROOT, read_scalars, run_python

import tf_estimator

needs_bridge = pytest.mark.skipif(
    tf_estimator.tf.__version__.startswith("2.15"), reason="TensorFlow 2.15 has tf.estimator itself"
)

NOT_THERE = [
    ("tf.estimator.DNNClassifier([8], [])", "needs Keras 2: pip install tf_keras~=2."),
    ("v1.experimental.dnn_logit_fn_builder(1, [8], [])", "needs Keras 2: pip install tf_keras"),
    ("v1.tpu.TPUEstimator", "no tf.estimator.tpu.TPUEstimator; use tf.estimator.Estimator"),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory, small_mnist_data):
    """Somebody else's directory, with nothing of this project but tf_estimator.py."""
    path = tmp_path_factory.mktemp("somebody_elses")
    shutil.copy(ROOT / "tf_estimator.py", path)
    images, labels = small_mnist_data.train
    np.savez(path / "digits.npz", images=images, labels=labels)
    return path


def run_program(directory, name, **environment):
    """Runs one of `tests/programs`; returns what it measured."""
    shutil.copy(ROOT / "tests" / "programs" / name, directory)
    model_dir = directory / name.replace(".py", "_models")
    process = run_python(name, "digits.npz", model_dir, cwd=directory, **environment)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def custom_estimator(directory):
    return run_program(directory, "custom_estimator.py")


def run_after_install(directory, code):
    process = run_python(
        "-c", f"import tf_estimator; tf_estimator.install()\n{code}", cwd=directory
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


@pytest.mark.parametrize("strategy", ["no strategy", "OneDeviceStrategy", "MirroredStrategy"])
def test_training_gives_the_numbers_of_tensorflow_2_15(custom_estimator, strategy):
    recorded = {"accuracy": 0.890, "loss": 0.46442, "global_step": 60}
    assert custom_estimator[strategy] == pytest.approx(recorded, rel=1e-3)


def test_warm_start_takes_over_the_variables(custom_estimator):
    loss = custom_estimator["no strategy"]["loss"]
    assert custom_estimator["WarmStartSettings"]["loss"] == pytest.approx(loss)


def test_early_stopping_stops_where_tensorflow_2_15_does(custom_estimator):
    recorded = {"accuracy": 0.849, "loss": 0.66844, "global_step": 41}
    assert custom_estimator["stop_if_higher_hook"] == pytest.approx(recorded, rel=1e-3)


def test_best_exporter_exports_the_evaluated_model(custom_estimator):
    accuracy = custom_estimator["stop_if_higher_hook"]["accuracy"]
    assert custom_estimator["BestExporter"] == pytest.approx(accuracy)


@pytest.mark.skipif(not importlib.util.find_spec("tf_keras"), reason="tf_keras is not installed")
def test_canned_estimator_works_with_keras_2(directory):
    measured = run_program(directory, "dnn_classifier.py", TF_USE_LEGACY_KERAS="1")
    assert measured["accuracy"] > 0.9
    assert measured["accuracy of predict"] == pytest.approx(measured["accuracy"])
    assert measured["accuracy of the export"] == pytest.approx(measured["accuracy"])


@pytest.fixture(scope="module")
def said_of_what_is_not_there(directory):
    """{use: the last line of its error}"""
    code = f"""
import json
import tensorflow as tf
v1, said = tf.compat.v1.estimator, {{}}
for use in {[use for use, _ in NOT_THERE]}:
    try:
        eval(use)
    except Exception as error:
        said[use] = str(error).splitlines()[-1]
print(json.dumps(said))
"""
    return json.loads(run_after_install(directory, code)[-1])


@needs_bridge
@pytest.mark.parametrize(("use", "words"), NOT_THERE)
def test_what_is_not_there_says_what_to_do(said_of_what_is_not_there, use, words):
    assert words in said_of_what_is_not_there[use]


def test_every_public_name_is_there(directory):
    code = """
import types
import tensorflow as tf

def count(namespace, *submodules):
    modules = [namespace, *(getattr(namespace, name) for name in submodules)]
    names = [(module, name) for module in modules for name in dir(module) if name[0] != "_"]
    return sum(not isinstance(getattr(*name), types.ModuleType) for name in names)

print(count(tf.estimator, "experimental", "export"))
print(count(tf.compat.v2.estimator, "experimental", "export"))
print(count(tf.compat.v1.estimator, "experimental", "export", "inputs"))
print(tf.compat.v1.estimator.tpu.RunConfig.__name__)
"""
    # As many as TensorFlow 2.15.1 has, but for three names that need a TPU.
    assert run_after_install(directory, code) == ["74", "74", "77", "RunConfig"]


def test_every_way_to_import_finds_the_same_estimator(directory):
    code = """
from tensorflow import estimator
from tensorflow.estimator import Estimator
import tensorflow as tf
import tensorflow.compat.v2 as tf2
print(estimator.Estimator is Estimator is tf.estimator.Estimator is tf2.estimator.Estimator)
from tensorflow.compat.v1 import estimator as estimator1
from tensorflow.compat.v1.estimator.inputs import numpy_input_fn
import tensorflow.compat.v1 as tf1
print(estimator1.Estimator is tf1.estimator.Estimator is tf.compat.v1.estimator.Estimator)
print(tf1.estimator.inputs.numpy_input_fn is numpy_input_fn)
print(tf1.estimator.Estimator is Estimator)
for parent in (tf1, tf2):
    print(parent.compat.v1.estimator.Estimator is tf1.estimator.Estimator)
    print(parent.compat.v2.estimator.Estimator is Estimator)
from tensorflow.compat.v1.estimator.tpu import TPUConfig
print(tf1.estimator.tpu.TPUConfig is TPUConfig)
"""
    assert run_after_install(directory, code) == ["True"] * 3 + ["False"] + ["True"] * 5


def test_the_import_leaves_the_process_as_it_was(directory):
    """A session would start TensorFlow's threads, which a forked process does not have."""
    code = """
import multiprocessing, os
import tensorflow as tf
print([name for name in os.environ if name.startswith("TF_") and "CUDA" not in name])

def run():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        print(session.run(tf.constant(7)), flush=True)

process = multiprocessing.get_context("fork").Process(target=run, daemon=True)
process.start()
process.join(30)
"""
    assert run_after_install(directory, code) == ["[]", "7"]


@needs_bridge
def test_a_strategy_across_machines_is_refused(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}}')
    strategy = tf_estimator.tf.distribute.OneDeviceStrategy("/cpu:0")
    with pytest.raises(ValueError, match=r"runs on one machine.*leave .* the cluster of TF_CONFIG"):
        tf_estimator.RunConfig(train_distribute=strategy)


@needs_bridge
def test_a_strategy_on_the_one_machine_of_a_cluster_is_not_refused(monkeypatch):
    task = '"task": {"type": "master", "index": 0}'
    monkeypatch.setenv("TF_CONFIG", f'{{"cluster": {{"master": ["a:1"]}}, {task}}}')
    strategy = tf_estimator.tf.distribute.OneDeviceStrategy("/cpu:0")
    assert tf_estimator.RunConfig(train_distribute=strategy).train_distribute is strategy


def test_two_processes_do_not_write_to_one_file_of_events(tmp_path):
    writer = tf_estimator.get_file_writer(str(tmp_path))
    [events] = tmp_path.iterdir()
    assert events.name.endswith(f".{os.getpid()}")
    assert tf_estimator.get_file_writer(str(tmp_path)) is writer
    events.rename(tmp_path / "events.out.tfevents.7.of_another")
    tf_estimator.get_file_writer(str(tmp_path)).flush()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_writer_that_a_full_disk_has_closed_writes_again(tmp_path):
    tf_estimator.get_file_writer(str(tmp_path)).close()
    summary = tf_estimator.tf.compat.v1.Summary()
    summary.value.add(tag="loss", simple_value=0.5)
    writer = tf_estimator.get_file_writer(str(tmp_path))
    writer.add_summary(summary, 7)
    writer.flush()
    assert read_scalars(tmp_path, "loss") == {7: 0.5}
