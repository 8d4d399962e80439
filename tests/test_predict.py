import contextlib
import errno
import json
import os
import re
import shutil
import time

import numpy as np
import pytest
from conftest import MODEL_DIR_2017, ROOT, run_script
from PIL import Image

import predict
from contrib.learn import checkpoints
from contrib.learn.errors import UserError
from handwriting import evidence, images


@pytest.fixture(scope="module")
def digits(tmp_path_factory, mnist_data):
    """A directory with the first 20 test images as PNG, "00.png" to "19.png"."""
    directory = tmp_path_factory.mktemp("digits")
    for i in range(20):
        Image.fromarray(mnist_data.test.images[i]).save(directory / f"{i:02}.png")
    return directory


@pytest.fixture
def run_predict(set_flags, capsys):
    """A function that does what the script does, with the model of 2017."""

    def run(*arguments):
        flags = [argument for argument in map(str, arguments) if argument.startswith("--")]
        images = [str(argument) for argument in arguments if str(argument) not in flags]
        set_flags(predict, f"--model_dir={MODEL_DIR_2017}", *flags)
        predict.check_flags(["predict.py", *images])
        exit_code = predict.main(["predict.py", *images])
        return exit_code, *capsys.readouterr()

    return run


def test_one_line_an_image_with_path_class_and_probability(digits, run_predict):
    paths = [digits / "00.png", digits / "01.png"]
    output = f"{paths[0]}: 7 (100.0%)\n{paths[1]}: 2 (100.0%)\n"
    assert run_predict(*paths) == (0, output, "")


def test_images_that_fail_do_not_keep_the_others_from_an_answer(digits, tmp_path, run_predict):
    text, missing, empty = tmp_path / "text.png", tmp_path / "missing.png", tmp_path / "empty"
    text.write_text("not an image")
    empty.mkdir()
    exit_code, output, errors = run_predict(
        missing, digits / "00.png", text, empty, digits / "01.png"
    )
    assert exit_code == 1
    assert output == f"{digits}/00.png: 7 (100.0%)\n{digits}/01.png: 2 (100.0%)\n"
    failed = [line.split(": ")[0] for line in errors.splitlines()]
    assert failed == [str(missing), str(text), str(empty)]
    assert errors.endswith(f"{empty}: a directory without image files\n")


def test_a_directory_stands_for_its_images_in_the_order_of_names(tmp_path):
    for name in ("b.png", "a.PNG", "c.jpg", "notes.txt", "d.pdf"):
        (tmp_path / name).touch()
    (tmp_path / "thumbnails.png").mkdir()
    found = list(predict.find_images(["before.png", str(tmp_path), "-"], None))
    inside = [str(tmp_path / name) for name in ("a.PNG", "b.png", "c.jpg")]
    assert found == ["before.png", *inside, "-"]


def test_a_name_that_no_file_can_have_does_not_stop_the_others(digits, run_predict):
    name = "n" * 300 + ".png"
    status, output, errors = run_predict(digits / "00.png", name, digits / "01.png")
    assert (status, len(output.splitlines())) == (1, 2)
    assert errors == f"{name}: File name too long\n"


def test_a_directory_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(predict.pathlib.Path, "iterdir", refuse)
    reports = []
    found = predict.find_images([str(tmp_path), "a.png"], lambda *report: reports.append(report))
    assert list(found) == ["a.png"]
    assert reports == [(str(tmp_path), "Permission denied")]


def test_an_image_from_standard_input(digits, run_predict, monkeypatch):
    with open(digits / "01.png") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert run_predict("-") == (0, "-: 2 (100.0%)\n", "")


def test_closed_streams_are_a_line(digits, run_predict, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    path = digits / "00.png"
    assert run_predict("-", path) == (1, f"{path}: 7 (100.0%)\n", "-: standard input is closed\n")
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(SystemExit, match="standard output is closed"):
        predict.main(["predict.py", str(path)])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_output_that_finds_no_room_is_a_line(digits):
    with open("/dev/full", "w") as full:
        process = run_script(
            "predict.py", f"--model_dir={MODEL_DIR_2017}", digits / "00.png", stdout=full
        )
    assert process.returncode == 1
    assert process.stderr == "predict.py: standard output: No space left on device\n"


def test_answers_come_while_the_other_images_are_read(digits, monkeypatch):
    def slow_read_image(path):
        if path == "slow":
            time.sleep(0.6)
        events.append(path)
        return original(digits / "00.png")

    events, original = [], images.read_image
    monkeypatch.setattr(images, "read_image", slow_read_image)
    paths = ["a", "slow", *"bcdefghij", "slow", "last"]
    for path, _, _ in predict.predict_images(str(MODEL_DIR_2017), paths, None):
        events.append(f"{path} is answered")
    assert events.index("a is answered") < events.index("last")


def test_a_page_without_evidence_is_told(digits, tmp_path, run_predict, monkeypatch):
    monkeypatch.setattr(evidence, "LEAST", 10)
    page = np.full((240, 320), 255, np.uint8)
    page[50:200, 150:160] = 0
    Image.fromarray(page).save(tmp_path / "page.png")
    status, output, errors = run_predict(tmp_path / "page.png", digits / "00.png")
    assert (status, output) == (1, f"{digits}/00.png: 7 (100.0%)\n")
    assert errors == f"{tmp_path}/page.png: no digit found\n"


def test_show_draws_the_reading_that_answers(tmp_path, run_predict, mnist_data):
    page = Image.new("L", (300, 200), 60)
    light = Image.fromarray(60 + mnist_data.test.images[0] // 4 * 3)
    page.paste(light.resize((140, 140)), (80, 30))
    page.save(tmp_path / "chalk.png")
    _, output, _ = run_predict("--show", tmp_path / "chalk.png")
    *drawing, line = output.splitlines()
    assert line.startswith(f"{tmp_path}/chalk.png: 7 (")
    assert 30 < sum(character != " " for character in "".join(drawing)) < 100


def test_json_is_an_object_a_line(digits, run_predict):
    paths = [digits / "00.png", digits / "01.png"]
    exit_code, output, _ = run_predict("--json", *paths)
    answers = [json.loads(line) for line in output.splitlines()]
    assert [(answer["path"], answer["class"]) for answer in answers] == [
        (str(paths[0]), 7),
        (str(paths[1]), 2),
    ]
    for answer in answers:
        assert list(answer) == ["path", "class", "probabilities"]
        assert len(answer["probabilities"]) == 10
        assert np.argmax(answer["probabilities"]) == answer["class"]
        assert sum(answer["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert exit_code == 0


def test_probabilities_in_json_have_six_places():
    prediction = {"class": np.int64(1), "probabilities": np.float32([0.12345678, 0.87654322])}
    assert predict.to_json("a.png", prediction) == (
        '{"path": "a.png", "class": 1, "probabilities": [0.123457, 0.876543]}'
    )


def test_top_k_and_show(digits, run_predict):
    _, output, _ = run_predict("--top_k=3", "--show", digits / "00.png")
    *drawing, line = output.splitlines()
    assert re.fullmatch(r".*: 7 \(100\.0%\)(, \d \(0\.0%\)){2}", line)
    assert (len(drawing), set("".join(drawing))) == (14, set(" ▄▀█"))


def test_defaults_of_the_flags(set_flags):
    flags = set_flags(predict)
    assert flags.model_dir == "./mnist_training"
    assert (flags.top_k, flags.show, flags.json) == (1, False, False)


def test_model_dir_may_begin_with_the_home_directory(set_flags, monkeypatch, capsys):
    monkeypatch.setenv("HOME", "/home/roelants")
    set_flags(predict, "--model_dir=~/model")
    assert predict.main(["predict.py", "a.png"]) == 1
    assert capsys.readouterr() == (
        "",
        "predict.py: /home/roelants/model has no checkpoint yet; "
        "train first: python mnist_estimator.py --model_dir /home/roelants/model\n",
    )


def test_a_file_is_no_model_dir(digits, run_predict):
    status, output, errors = run_predict(f"--model_dir={ROOT / 'model.py'}", digits / "00.png")
    assert (status, output) == (1, "")
    assert errors == (
        f"predict.py: {ROOT}/model.py/hparams.json: Not a directory; give another --model_dir\n"
    )


@pytest.fixture
def model_dir(tmp_path):
    """A copy of the model of 2017 to damage."""
    return shutil.copytree(MODEL_DIR_2017, tmp_path / "model")


def test_a_truncated_checkpoint_is_a_line(model_dir):
    os.truncate(model_dir / "model.ckpt-1000.data-00000-of-00001", 100000)
    with pytest.raises(UserError, match=r"model.ckpt-1000 is damaged: .*; train on to replace it"):
        next(predict.predict_images(str(model_dir), [], None))


def test_a_foreign_checkpoint_is_a_line(model_dir):
    (model_dir / "hparams.json").write_text('{"n_classes": 47}')
    with pytest.raises(UserError, match=r"model.ckpt-1000 is of another model: .*\[256, 47\]"):
        next(predict.predict_images(str(model_dir), [], None))


def test_a_file_that_cannot_be_read_says_nothing_of_training(digits, run_predict, monkeypatch):
    def find_whole_checkpoint(model_dir):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "model.ckpt-1000.index")

    monkeypatch.setattr(checkpoints, "find_whole_checkpoint", find_whole_checkpoint)
    status, output, errors = run_predict(digits / "00.png")
    assert (status, output) == (1, "")
    assert errors == (
        "predict.py: model.ckpt-1000.index: Input/output error; "
        "run the same command again once this is mended\n"
    )


def test_the_latest_whole_checkpoint_is_read(model_dir, digits, set_flags, capsys, caplog):
    for path in model_dir.glob("model.ckpt-1000.*"):
        shutil.copy(path, model_dir / path.name.replace("1000", "2000"))
    (model_dir / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-2000"')
    os.truncate(model_dir / "model.ckpt-2000.data-00000-of-00001", 100000)
    set_flags(predict, f"--model_dir={model_dir}")
    assert predict.main(["predict.py", str(digits / "00.png")]) == 0
    assert capsys.readouterr().out == f"{digits / '00.png'}: 7 (100.0%)\n"
    [line] = [message for message in caplog.messages if "model.ckpt-2000" in message]
    assert f"{model_dir}/model.ckpt-1000 is used instead" in line


def test_the_task_of_a_cluster_is_not_taken_for_its_own(digits, run_predict, monkeypatch):
    tf_config = {
        "cluster": {"chief": ["localhost:1"], "worker": ["localhost:2"], "ps": ["localhost:3"]},
        "task": {"type": "worker", "index": 0},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config))
    assert run_predict(digits / "00.png") == (0, f"{digits}/00.png: 7 (100.0%)\n", "")


def test_png_files_get_the_classes_of_their_arrays(tmp_path, mnist_data):
    import tensorflow as tf

    arrays = mnist_data.test.images[:1000]
    for i, image in enumerate(arrays):
        Image.fromarray(image).save(tmp_path / f"{i:04}.png")
    estimator = predict.load_estimator(MODEL_DIR_2017)
    paths = [str(tmp_path / f"{i:04}.png") for i in range(1000)]
    classes = [
        prediction["class"]
        for _, _, prediction in predict.predict_images(str(MODEL_DIR_2017), paths, None)
    ]
    expected = estimator.predict(lambda: tf.data.Dataset.from_tensor_slices(arrays).batch(128))
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
    flags = [f"--model_dir={MODEL_DIR_2017}", "--show"]
    process = run_script("predict.py", *flags, path, PYTHONIOENCODING="ascii")
    *drawing, line = process.stdout.splitlines()
    assert (process.returncode, process.stderr) == (0, "")
    assert line == rf"{tmp_path}/\xfc.png: 7 (100.0%)"
    assert (len(drawing), set("".join(drawing))) == (14, set(" .'#"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_errors_that_find_no_room_do_not_cost_the_answers(digits, run_predict, monkeypatch):
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr("sys.stderr", full)
        status, output, _ = run_predict("nothing.png", digits / "00.png")
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            full.close()
    assert (status, output) == (1, f"{digits / '00.png'}: 7 (100.0%)\n")
