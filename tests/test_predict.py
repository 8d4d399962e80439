import json
import os
import shutil

import numpy as np
import pytest
from conftest import MODEL_DIR_2017, run_script
from PIL import Image

import predict


@pytest.fixture(scope="module")
def digits(tmp_path_factory, mnist_data):
    """A directory with the first 20 test images as PNG, "00.png" to "19.png"."""
    directory = tmp_path_factory.mktemp("digits")
    for i in range(20):
        Image.fromarray(mnist_data.test.images[i]).save(directory / f"{i:02}.png")
    return directory


def run_predict(*arguments, **kwargs):
    return run_script("predict.py", f"--model_dir={MODEL_DIR_2017}", *arguments, **kwargs)


def test_one_line_an_image_with_path_class_and_probability(digits, mnist_data):
    paths = [digits / "00.png", digits / "01.png"]
    process = run_predict(*paths)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.splitlines() == [f"{paths[0]}: 7 (100.0%)", f"{paths[1]}: 2 (100.0%)"]


def test_images_that_fail_do_not_keep_the_others_from_an_answer(digits, tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    missing = tmp_path / "missing.png"
    process = run_predict(missing, digits / "00.png", tmp_path / "text.png", digits / "01.png")
    assert process.returncode == 1
    assert len(process.stdout.splitlines()) == 2
    errors = process.stderr.splitlines()
    assert errors[0].startswith(f"{missing}: ")
    assert errors[1].startswith(f"{tmp_path / 'text.png'}: ")
    assert len(errors) == 2


def test_a_directory_stands_for_its_images_in_the_order_of_names(digits):
    process = run_predict(digits)
    paths = [line.split(":")[0] for line in process.stdout.splitlines()]
    assert paths == [str(digits / f"{i:02}.png") for i in range(20)]


def test_a_directory_without_images_is_an_error(tmp_path):
    process = run_predict(tmp_path)
    assert process.returncode == 1
    assert process.stderr == f"{tmp_path}: a directory without image files\n"


def test_an_image_from_standard_input(digits):
    with open(digits / "01.png", "rb") as file:
        process = run_predict("-", stdin=file)
    assert process.stdout == "-: 2 (100.0%)\n"


def test_json(digits):
    process = run_predict("--json", digits / "00.png")
    answer = json.loads(process.stdout)
    assert (answer["path"], answer["class"]) == (str(digits / "00.png"), 7)
    assert len(answer["probabilities"]) == 10
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_a_missing_model_is_a_line(digits, tmp_path):
    process = run_script("predict.py", f"--model_dir={tmp_path}", digits / "00.png")
    assert process.returncode == 1
    assert process.stderr == (
        f"predict.py: {tmp_path} has no checkpoint yet; train first: python mnist_estimator.py\n"
    )


@pytest.fixture
def model_dir(tmp_path):
    """A copy of the model of 2017 to damage."""
    return shutil.copytree(MODEL_DIR_2017, tmp_path / "model")


def assert_refused(model_dir, digits, *words):
    """predict.py has to end with exit code 1 and one line with these words."""
    process = run_script("predict.py", f"--model_dir={model_dir}", digits / "00.png")
    assert (process.returncode, process.stdout) == (1, "")
    [line] = process.stderr.splitlines()
    for word in ("predict.py: ", *words):
        assert word in line


def test_a_truncated_checkpoint_is_a_line(model_dir, digits):
    os.truncate(model_dir / "model.ckpt-1000.data-00000-of-00001", 100000)
    assert_refused(model_dir, digits, "model.ckpt-1000 is damaged", "train on to replace it")


def test_a_foreign_checkpoint_is_a_line(model_dir, digits):
    (model_dir / "hparams.json").write_text('{"n_classes": 47}')
    assert_refused(model_dir, digits, "model.ckpt-1000 is of another model", "[256, 47]")


def test_the_latest_whole_checkpoint_is_read(model_dir, digits):
    for path in model_dir.glob("model.ckpt-1000.*"):
        shutil.copy(path, model_dir / path.name.replace("1000", "2000"))
    (model_dir / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-2000"')
    os.truncate(model_dir / "model.ckpt-2000.data-00000-of-00001", 100000)
    process = run_script("predict.py", f"--model_dir={model_dir}", digits / "00.png")
    assert (process.returncode, process.stdout) == (0, f"{digits / '00.png'}: 7 (100.0%)\n")
    [line] = process.stderr.splitlines()
    assert "model.ckpt-2000 is damaged" in line
    assert f"{model_dir}/model.ckpt-1000 is used instead" in line


def test_the_task_of_a_cluster_is_not_taken_for_its_own(digits):
    tf_config = {
        "cluster": {"chief": ["localhost:1"], "worker": ["localhost:2"], "ps": ["localhost:3"]},
        "task": {"type": "worker", "index": 0},
    }
    process = run_predict(digits / "00.png", TF_CONFIG=json.dumps(tf_config))
    assert (process.returncode, process.stderr) == (0, "")


def test_a_reader_that_has_enough_ends_it_quietly(digits, start_script):
    process = start_script(
        "predict.py", f"--model_dir={MODEL_DIR_2017}", *[digits / "00.png"] * 2000
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.wait() == 0


def test_names_and_drawings_on_a_terminal_without_their_characters(digits, tmp_path):
    path = tmp_path / "\u00fc.png"
    shutil.copy(digits / "00.png", path)
    process = run_predict("--show", path, PYTHONIOENCODING="ascii")
    *drawing, line = process.stdout.splitlines()
    assert (process.returncode, process.stderr) == (0, "")
    assert line == rf"{tmp_path}/\xfc.png: 7 (100.0%)"
    assert (len(drawing), set("".join(drawing))) == (14, set(" .'#"))


def test_png_files_get_the_classes_of_their_arrays(tmp_path, mnist_data):
    import tensorflow as tf

    images = mnist_data.test.images[:1000]
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i:04}.png")
    estimator = predict.load_estimator(MODEL_DIR_2017)
    paths = [str(tmp_path / f"{i:04}.png") for i in range(1000)]
    classes = [
        prediction["class"]
        for _, _, prediction in predict.predict_images(estimator, None, paths, None)
    ]
    expected = estimator.predict(lambda: tf.data.Dataset.from_tensor_slices(images).batch(128))
    assert classes == [prediction["class"] for prediction in expected]


def test_model_is_rebuilt_from_the_hyperparameters_kept_with_it(model_dir):
    (model_dir / "hparams.json").write_text('{"n_classes": 47}')
    assert predict.load_estimator(model_dir).params.n_classes == 47


def test_top_k_prints_the_most_likely_classes():
    probabilities = np.array([0.1, 0.6, 0.3])
    text = predict.to_text("a.png", {"probabilities": probabilities}, top_k=2)
    assert text == "a.png: 1 (60.0%), 2 (30.0%)"


def test_show_draws_two_pixels_a_character():
    image = np.zeros((28, 28), np.uint8)
    image[0, 0] = image[1, 1] = image[:2, 2] = 255
    lines = predict.draw(image, "utf-8").splitlines()
    assert lines[0] == "▀▄█" + 25 * " "
    assert (len(lines), {len(line) for line in lines}) == (14, {28})
