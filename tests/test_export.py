import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import MODEL_DIR_2017, run_script

import predict

# What a user of the SavedModel does, with nothing of this project.
LOAD = """
import sys, numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2])
classes = [
    model.signatures["serving_default"](image=tf.constant(batch))["class"]
    for batch in np.split(images, 10)
]
png = tf.constant([tf.io.encode_png(image[..., np.newaxis]).numpy() for image in images[:100]])
of_png = model.signatures["image_bytes:serving_default"](image_bytes=png)["class"]
np.savez(sys.argv[3], classes=np.concatenate(classes), of_png=of_png)
"""


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """The SavedModel that `--schedule=export` writes from the 2017 model directory."""
    export_dir = tmp_path_factory.mktemp("export")
    flags = [f"--model_dir={MODEL_DIR_2017}", f"--export_dir={export_dir}", "--schedule=export"]
    process = run_script("mnist_estimator.py", *flags)
    assert process.returncode == 0, process.stderr
    [path] = export_dir.iterdir()
    assert process.stderr.splitlines()[-1] == f"exported to {path}"
    return path


def test_loaded_elsewhere_it_gives_the_classes_of_estimator_predict(
    saved_model, mnist_data, tmp_path
):
    images = mnist_data.test.images
    np.save(tmp_path / "images.npy", images)
    arguments = [saved_model, tmp_path / "images.npy", tmp_path / "answer.npz"]
    command = [sys.executable, "-c", LOAD, *map(str, arguments)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    answer = np.load(tmp_path / "answer.npz")
    estimator = predict.load_estimator(MODEL_DIR_2017)
    input_fn = lambda: tf.data.Dataset.from_tensor_slices(images).batch(1000)  # noqa: E731
    expected = [prediction["class"] for prediction in estimator.predict(input_fn)]
    np.testing.assert_array_equal(answer["classes"], expected)
    np.testing.assert_array_equal(answer["of_png"], expected[:100])


@pytest.mark.parametrize("shape", [[28, 28], [16, 32, 32], [1, 28, 28, 1]])
def test_images_of_another_shape_are_refused(saved_model, shape):
    model = tf.saved_model.load(str(saved_model))
    with pytest.raises(tf.errors.InvalidArgumentError):
        model.signatures["serving_default"](image=tf.zeros(shape, tf.uint8))


def test_saved_model_cli_lists_both_signatures(saved_model):
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "show", "--dir"]
    output = subprocess.run(
        [*command, str(saved_model), "--all"], capture_output=True, text=True, check=True
    ).stdout
    assert "signature_def['serving_default']" in output
    assert "signature_def['image_bytes:serving_default']" in output
