import collections
import re
import subprocess
import sys

import pytest
from conftest import ROOT, run_script


def test_output_of_a_run(finished_run):
    model_dir, process = finished_run
    number = r"[\d.]+"
    expected = [
        r'hyperparameters: \{"learning_rate": 0.002, .*"train_steps": 200, .*\}',
        rf"evaluation at step 50: accuracy {number}, loss {number}, in {number} s",
        rf"step 100 of 200: loss {number}, batch accuracy {number}, {number} steps/s, \d+ s left",
        rf"evaluation at step 100: accuracy {number}, loss {number}, in {number} s",
        rf"evaluation at step 150: accuracy {number}, loss {number}, in {number} s",
        rf"step 200 of 200: loss {number}, batch accuracy {number}, {number} steps/s, 0 s left",
        rf"evaluation at step 200: accuracy {number}, loss {number}, in {number} s",
        rf"done in \d+ s: final accuracy {number}",
        rf"  the model: +{model_dir}",
        rf"  watch it: +tensorboard --logdir {model_dir}",
        rf"  read a digit: +python predict.py --model_dir {model_dir} image.png",
    ]
    assert process.returncode == 0
    lines = process.stderr.splitlines()
    assert len(lines) == len(expected), process.stderr
    for line, pattern in zip(lines, expected):
        assert re.fullmatch(pattern, line), (line, pattern)


def test_the_network_learns(finished_run):
    _, process = finished_run
    assert float(re.search(r"final accuracy ([\d.]+)", process.stderr)[1]) > 0.95


def test_debug_verbosity_shows_tensorflows_messages_once(tmp_path):
    process = run_script(
        "mnist_estimator.py",
        f"--model_dir={tmp_path}",
        "--hparams=train_steps=1",
        "--eval_split=validation",
        "--verbosity=1",
    )
    lines = collections.Counter(process.stderr.splitlines())
    assert lines["Graph was finalized."] == 1
    assert lines[f"Saving checkpoints for 1 into {tmp_path}/model.ckpt."] == 1


def test_warning_verbosity_shows_nothing_of_a_good_run(tmp_path):
    hparams = "--hparams=train_steps=1,augmentation=elastic,learning_rate_decay=cosine"
    flags = [f"--model_dir={tmp_path}", "--seed=1", "--verbosity=-1", hparams]
    process = run_script("mnist_estimator.py", *flags)
    assert (process.returncode, process.stderr, process.stdout) == (0, "", "")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--schedule=evaluate", "has no checkpoint yet; train first"),
        ("--data_dir=model.py", "--data_dir model.py is a file; give a directory"),
        ("--data_dir=tests", "--data_dir tests: has no train-images-idx3-ubyte, train-labels"),
        ("--export_dir=model.py", "--export_dir model.py is a file; give a directory"),
    ],
)
def test_a_users_mistake_is_a_line_and_trains_nothing(tmp_path, flag, message):
    process = run_script("mnist_estimator.py", f"--model_dir={tmp_path}/model", flag)
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith("mnist_estimator.py: ")
    assert message in process.stderr
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.glob("model/model.ckpt-*"))


def test_home_directory_in_path_flags(tmp_path):
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    flags = ["--model_dir=~/model", "--data_dir=~/data", "--export_dir=~/export"]
    process = run_script(
        "mnist_estimator.py", *flags, "--hparams=train_steps=1", cwd=tmp_path, HOME=str(home)
    )
    assert process.returncode == 0, process.stderr
    assert {path.name for path in home.iterdir()} >= {"model", "data", "export"}
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    process = run_script("predict.py", "--model_dir=~/model", ROOT / "image.png", HOME=str(home))
    assert process.returncode == 0, process.stderr


def test_schedule_train_says_what_it_did(tmp_path):
    flags = [f"--model_dir={tmp_path}/model", "--hparams=train_steps=3", "--schedule=train"]
    process = run_script("mnist_estimator.py", *flags)
    line = process.stderr.splitlines()[-4]
    assert re.fullmatch(r"done in \d+ s: trained to step 3", line)


def test_both_entries_can_be_imported_in_one_process():
    code = "import mnist_estimator, predict; mnist_estimator.define_flags()"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
