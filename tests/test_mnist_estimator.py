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
    process = run_script(
        "mnist_estimator.py", f"--model_dir={tmp_path}", "--hparams=train_steps=1", "--verbosity=-1"
    )
    assert (process.returncode, process.stderr, process.stdout) == (0, "", "")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--hparams=depth=3", "unknown hyperparameter 'depth'; --hparams takes (with defaults)"),
        ("--hparams=train_steps=0", "train_steps=0 has to be int in 1.."),
        ("--schedule=test", "should be one of <train_and_evaluate|train|evaluate|export>"),
        ("--eval_split=train", "should be one of <test|validation>"),
        ("--seed=-1", "-1 is not an integer in the range"),
        ("stray", "unexpected argument stray"),
        ("--schedule=export", "--schedule=export needs --export_dir"),
        ("--schedule=evaluate", "has no checkpoint yet; train first"),
        ("--data_dir=model.py", "model.py"),
    ],
)
def test_a_users_mistake_is_a_line_and_writes_nothing(tmp_path, flag, message):
    process = run_script("mnist_estimator.py", f"--model_dir={tmp_path}/model", flag)
    assert process.returncode != 0
    assert message in process.stderr
    assert "Traceback" not in process.stderr
    assert not (tmp_path / "model").exists()


def test_both_entries_can_be_imported_in_one_process():
    code = "import mnist_estimator, predict; mnist_estimator.define_flags()"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
