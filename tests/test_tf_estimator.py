import importlib.util
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, get_environment

import tf_estimator

needs_bridge = pytest.mark.skipif(
    tf_estimator.tf.__version__.startswith("2.15"), reason="TensorFlow 2.15 has tf.estimator itself"
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory, small_mnist_data):
    """Somebody else's directory, with nothing of this project but tf_estimator.py."""
    path = tmp_path_factory.mktemp("somebody_elses")
    shutil.copy(ROOT / "tf_estimator.py", path)
    images, labels = small_mnist_data.train
    np.savez(path / "digits.npz", images=images, labels=labels)
    return path


def run_python(directory, *arguments, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=directory,
        env=get_environment(**environment),
        capture_output=True,
        text=True,
    )


def run_program(directory, name, **environment):
    """Runs one of `tests/programs`; returns what it measured."""
    shutil.copy(ROOT / "tests" / "programs" / name, directory)
    model_dir = directory / name.replace(".py", "_models")
    process = run_python(directory, name, "digits.npz", model_dir, **environment)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def custom_estimator(directory):
    return run_program(directory, "custom_estimator.py")


def run_after_install(directory, code):
    process = run_python(directory, "-c", f"import tf_estimator; tf_estimator.install()\n{code}")
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


@needs_bridge
def test_canned_estimator_without_keras_2_says_what_to_install(directory):
    process = run_python(
        directory,
        "-c",
        "import tf_estimator; tf_estimator.install()\n"
        "import tensorflow as tf; tf.estimator.DNNClassifier([8], [])",
    )
    assert "needs Keras 2: pip install tf_keras~=2." in process.stderr.splitlines()[-1]


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
"""
    assert run_after_install(directory, code) == ["True", "True", "True", "False"]


@needs_bridge
def test_a_strategy_across_machines_is_refused(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}}')
    strategy = tf_estimator.tf.distribute.OneDeviceStrategy("/cpu:0")
    with pytest.raises(ValueError, match=r"runs on one machine.*leave .* the cluster of TF_CONFIG"):
        tf_estimator.RunConfig(train_distribute=strategy)


@pytest.fixture
def import_fake_tensorflow(tmp_path):
    """A function that imports tf_estimator beside a `tensorflow` that writes as C++, and ends."""
    shutil.copy(ROOT / "tf_estimator.py", tmp_path)

    def run(end, **environment):
        fake = f"import os, signal\nos.write(2, b'this processor has no AVX')\n{end}\n"
        (tmp_path / "tensorflow.py").write_text(fake)
        return run_python(tmp_path, "-c", "import tf_estimator", **environment)

    return run


@pytest.mark.parametrize(
    "end",
    ["os.abort()", "os.kill(os.getpid(), signal.SIGILL)", "raise ImportError('no CUDA')"],
)
def test_what_tensorflow_says_when_its_import_fails_is_shown(import_fake_tensorflow, end):
    process = import_fake_tensorflow(end)
    assert process.returncode != 0
    assert "this processor has no AVX" in process.stderr


def test_ctrl_c_during_the_import_shows_no_notices_but_the_traceback(import_fake_tensorflow):
    process = import_fake_tensorflow("os.kill(os.getpid(), signal.SIGINT)")
    assert "AVX" not in process.stderr
    assert process.stderr.splitlines()[-1] == "KeyboardInterrupt"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_handler_that_ends_the_process_during_the_import_shows_no_notices(directory, number):
    code = """
import os, signal, sys, threading
number = int(sys.argv[1])
signal.signal(number, lambda *args: os._exit(7))
threading.Timer(0.5, os.kill, [os.getpid(), number]).start()
import tf_estimator
"""
    process = run_python(directory, "-c", code, int(number))
    assert (process.returncode, process.stderr) == (7, "")


def test_the_import_is_quiet_with_a_log_level_of_2(directory):
    process = run_python(directory, "-c", "import tf_estimator", TF_CPP_MIN_LOG_LEVEL="2")
    assert (process.returncode, process.stderr) == (0, "")


def test_the_import_works_without_stderr(directory):
    command = [sys.executable, "-c", "import tf_estimator; print(7)"]
    code = f"import os; os.close(2); os.execv({command[0]!r}, {command})"
    process = run_python(directory, "-c", code)
    assert (process.returncode, process.stdout) == (0, "7\n")


def test_notices_that_were_asked_for_are_shown(directory):
    process = run_python(directory, "-c", "import tf_estimator", TF_CPP_MIN_LOG_LEVEL="0")
    assert "oneDNN" in process.stderr
