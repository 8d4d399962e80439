import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import inputs

ROOT = pathlib.Path(__file__).parent.parent
MODEL_DIR_2017 = ROOT / "tests" / "model_dir_2017"


@pytest.fixture(scope="session")
def mnist_data():
    return inputs.read_data_sets(inputs.BUNDLED_DATA_DIR)


@pytest.fixture(scope="session")
def small_mnist_data(mnist_data):
    """The first images of each split."""
    return inputs.Datasets(
        *(inputs.DataSet(images[:1000], labels[:1000]) for images, labels in mnist_data)
    )


@pytest.fixture
def model_dir_2017(tmp_path):
    return pathlib.Path(shutil.copytree(MODEL_DIR_2017, tmp_path / "model_dir_2017"))


def run_script(name, *arguments, cwd=ROOT, **kwargs):
    """Runs an entry script as a user does; returns the completed process, its output as text."""
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("TF_")}
    return subprocess.run(
        [sys.executable, str(ROOT / name), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        **kwargs,
    )


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A run of 200 steps with the bundled data: `(model_dir, completed process)`."""
    model_dir = tmp_path_factory.mktemp("finished") / "model"
    hparams = "train_steps=200,min_eval_frequency=50"
    process = run_script("mnist_estimator.py", "--model_dir", model_dir, "--hparams", hparams)
    return model_dir, process
