import concurrent.futures
import importlib.util
import json
import shutil
import socket

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
    ("AdagradParameters(0.1)", "has no tensorflow.python.tpu.tpu_embedding.AdagradParameters"),
    (
        "tpu.TPUEstimator(run, config=tpu.RunConfig(), train_batch_size=8).train(run, steps=1)",
        "Cannot find any TPU cores in the system",
    ),
]

# The modules of TensorFlow 2.15.1 that are those of the package.
MODULE_NAMES = [
    "tensorflow.python.estimator",
    *(
        f"tensorflow.python.estimator.{name}"
        for name in (
            *("estimator", "estimator_lib", "exporter", "gc", "keras", "model_fn", "run_config"),
            *("training", "util", "canned", "export", "inputs", "inputs.queues"),
            *(f"canned.{name}" for name in ("baseline", "dnn", "dnn_linear_combined", "head")),
            *(f"canned.{name}" for name in ("linear", "metric_keys", "optimizers")),
            *(f"canned.{name}" for name in ("parsing_utils", "prediction_keys")),
            *(f"export.{name}" for name in ("export", "export_lib", "export_output")),
            *(f"inputs.{name}" for name in ("inputs", "numpy_io", "pandas_io")),
            *(f"inputs.queues.feeding_{name}" for name in ("functions", "queue_runner")),
        )
    ),
    *(
        f"tensorflow.python.tpu.{name}"
        for name in ("error_handling", "tpu_config", "tpu_context", "tpu_estimator", "util")
    ),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory, small_mnist_data):
    """Somebody else's directory with programs, and nothing of this project but tf_estimator.py."""
    path = tmp_path_factory.mktemp("somebody_elses")
    for file in (ROOT / "tf_estimator.py", *ROOT.glob("tests/programs/*.py")):
        shutil.copy(file, path)
    images, labels = small_mnist_data.train
    np.savez(path / "digits.npz", images=images, labels=labels)
    return path


def run_program(directory, name, **environment):
    """Runs one of `tests/programs`; returns what it measured."""
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


def test_tpu_estimator_without_a_tpu_gives_the_numbers_of_tensorflow_2_15(directory):
    recorded = {"accuracy": 0.835, "loss": 0.82404, "global_step": 40}
    recorded |= {"accuracy of predict": 0.835, "accuracy of the export": 0.835}
    assert run_program(directory, "tpu_estimator.py") == pytest.approx(recorded, rel=1e-3)


def test_synchronous_training_of_three_processes_gives_the_numbers_of_tensorflow_2_15(directory):
    jobs = ("chief", "worker", "evaluator")
    sockets = [socket.socket() for _ in jobs]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    cluster = {job: [address] for job, address in zip(jobs, addresses)}

    def run_task(job):
        tf_config = {"cluster": cluster, "task": {"type": job, "index": 0}}
        return run_program(directory, "multi_worker_mirrored.py", TF_CONFIG=json.dumps(tf_config))

    with concurrent.futures.ThreadPoolExecutor() as executor:
        chief, worker, evaluator = executor.map(run_task, jobs)
    assert chief == worker == evaluator
    assert chief == pytest.approx({"weights": 1.35634, "largest": 0.212008}, rel=1e-4)
    accuracy = read_scalars(directory / "multi_worker_mirrored_models" / "eval", "accuracy")
    assert accuracy[40] == pytest.approx(0.85, abs=0.002)


@pytest.fixture(scope="module")
def said_of_what_is_not_there(directory):
    """{use: the last line of its error}"""
    code = f"""
import json
import tensorflow as tf
from tensorflow.python.tpu.tpu_embedding import AdagradParameters
v1, tpu, said = tf.compat.v1.estimator, tf.compat.v1.estimator.tpu, {{}}
def run(features, labels, mode, params):
    raise AssertionError
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
print(count(tf.compat.v1.estimator.tpu, "experimental"))
"""
    # As many as TensorFlow 2.15.1 has.
    assert run_after_install(directory, code) == ["74", "74", "77", "6"]


def test_every_module_has_its_name_of_tensorflow_2_15(directory):
    code = f"""
import importlib

for name in {MODULE_NAMES}:
    module = importlib.import_module(name)
    own_name = name.replace("tensorflow", "tensorflow_estimator")
    own_name = own_name.replace("python.tpu", "python.estimator.tpu").replace("keras", "keras_lib")
    own = importlib.import_module(own_name)
    for key, value in vars(module).items():
        if isinstance(value, type) and value.__module__.startswith("tensorflow_estimator"):
            assert getattr(own, key) is value, (name, key)
import tensorflow as tf
from tensorflow.python.estimator import gc, keras
from tensorflow.python.tpu import tpu_estimator
print(keras.model_to_estimator.__name__)
print(gc.Path.__name__)
print(tpu_estimator.TPUEstimator is tf.compat.v1.estimator.tpu.TPUEstimator)
"""
    assert run_after_install(directory, code) == ["model_to_estimator", "Path", "True"]


def test_install_works_after_a_failed_import_of_the_package(directory):
    code = """
try:
    import tensorflow_estimator
except Exception as error:
    print(type(error).__name__)
import tf_estimator
tf_estimator.install()
import tensorflow as tf
import tensorflow_estimator
print(tensorflow_estimator.estimator.Estimator is tf.compat.v1.estimator.Estimator)
"""
    process = run_python("-c", code, cwd=directory)
    assert process.stdout.splitlines()[-1:] == ["True"], process.stderr


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


def set_cluster(monkeypatch, **cluster):
    task = {"type": min(cluster), "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))


@needs_bridge
def test_a_remote_cluster_is_refused():
    distribute = importlib.import_module("tensorflow.python.distribute.distribute_config")
    remote = distribute.DistributeConfig(remote_cluster={"chief": ["a:1"], "worker": ["b:1"]})
    with pytest.raises(ValueError, match=r"no remote_cluster .* with TF_CONFIG$"):
        tf_estimator.RunConfig(experimental_distribute=remote)


@needs_bridge
def test_train_with_a_strategy_across_machines_names_what_to_call(monkeypatch, tmp_path):
    set_cluster(monkeypatch, chief=["a:1"], worker=["b:1"])
    strategy = tf_estimator.tf.distribute.OneDeviceStrategy("/cpu:0")
    config = tf_estimator.RunConfig(str(tmp_path), train_distribute=strategy)
    estimator = tf_estimator.Estimator(lambda features: None, config=config)
    with pytest.raises(ValueError, match=r"call tf\.estimator\.train_and_evaluate"):
        estimator.train(lambda: None)


@needs_bridge
def test_a_strategy_on_the_one_machine_of_a_cluster_is_not_refused(monkeypatch):
    set_cluster(monkeypatch, master=["a:1"])
    strategy = tf_estimator.tf.distribute.OneDeviceStrategy("/cpu:0")
    assert tf_estimator.RunConfig(train_distribute=strategy).train_distribute is strategy
