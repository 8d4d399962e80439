"""What the scripts do before TensorFlow is there; a stand-in of that name takes its place."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, run_python

import command_line
from mnist_estimator import get_hparams

SCRIPTS = ("mnist_estimator.py", "predict.py")


@pytest.fixture
def run_with_tensorflow(tmp_path):
    """A function that runs a script with a module of this source as `tensorflow`."""

    def run(source, script, *arguments):
        (tmp_path / "tensorflow.py").write_text(source)
        return subprocess.run(
            [sys.executable, str(ROOT / script), *arguments],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_does_not_wait_for_tensorflow(run_with_tensorflow, script):
    process = run_with_tensorflow("raise SystemExit('imported')", script, "--help")
    assert "--model_dir: " in process.stdout
    assert (process.returncode, process.stderr) == (0, "")


def test_help_lists_the_hyperparameters_with_their_defaults(run_with_tensorflow):
    process = run_with_tensorflow("raise SystemExit", "mnist_estimator.py", "--help")
    words = " ".join(process.stdout.split())
    for name, value in get_hparams().values().items():
        assert f"{name}={value}" in words


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("mnist_estimator.py", ["--hparams=depth=3"], "unknown hyperparameter 'depth'"),
        ("mnist_estimator.py", ["--hparams=train_steps=0"], "train_steps=0 has to be int in 1.."),
        ("mnist_estimator.py", ["--schedule=test"], "<train_and_evaluate|train|evaluate|export>"),
        ("mnist_estimator.py", ["--eval_split=train"], "should be one of <test|validation>"),
        ("mnist_estimator.py", ["--seed=-1"], "-1 is not an integer in the range"),
        ("mnist_estimator.py", [f"--seed={2**31}"], "is not an integer in the range"),
        ("mnist_estimator.py", ["stray"], "unexpected argument stray"),
        ("mnist_estimator.py", ["--model_dir=run[1]"], "takes [ for a pattern of names"),
        ("mnist_estimator.py", ["--model_dir=run?"], "takes ? for a pattern of names"),
        ("mnist_estimator.py", ["--model_dir=run*"], "takes * for a pattern of names"),
        ("mnist_estimator.py", ["--model_dir=run\udcff"], "--model_dir 'run\\udcff' is not UTF-8"),
        ("mnist_estimator.py", ["--export_dir=\udcff"], "--export_dir '\\udcff' is not UTF-8"),
        ("predict.py", ["--model_dir=run\udcff", "image.png"], "is not UTF-8"),
        ("mnist_estimator.py", ["--model_dir="], "--model_dir is empty"),
        ("mnist_estimator.py", ["--data_dir="], "--data_dir is empty"),
        ("mnist_estimator.py", ["--export_dir="], "--export_dir is empty"),
        ("predict.py", ["--model_dir=run[1]", "image.png"], "takes [ for a pattern of names"),
        ("predict.py", ["--model_dir=", "image.png"], "--model_dir is empty"),
        ("mnist_estimator.py", ["--unknown"], "Unknown command line flag 'unknown'"),
        ("mnist_estimator.py", ["--schedule=export"], "--schedule=export needs --export_dir"),
        (
            "mnist_estimator.py",
            ["--schedule=evaluate", "--export_dir=x"],
            "--schedule=evaluate exports nothing",
        ),
        ("predict.py", [], "which images?"),
        ("predict.py", ["--unknown"], "Unknown command line flag 'unknown'"),
        ("predict.py", ["--top_k=0", "image.png"], "top_k"),
        ("predict.py", ["--show", "--json", "image.png"], "give one of them"),
    ],
)
def test_a_usage_error_is_a_line_and_exit_code_2(run_with_tensorflow, script, arguments, message):
    process = run_with_tensorflow("raise SystemExit('imported')", script, *arguments)
    assert process.returncode == 2
    [line] = process.stderr.splitlines()
    assert line.startswith(f"{script}: ")
    assert message in line
    assert line.endswith("; see --help")


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_during_the_import_ends_it_without_a_word(
    run_with_tensorflow, script, number, exit_code
):
    # As C++ code that imports a module: it makes an ImportError of whatever is raised.
    source = f"""
import signal
try:
    signal.raise_signal({int(number)})
except BaseException as error:
    raise ImportError from error
"""
    process = run_with_tensorflow(
        source, script, "image.png" if "predict" in script else "--seed=1"
    )
    assert (process.returncode, process.stdout, process.stderr) == (exit_code, "", "")


def test_signals_end_the_process_with_their_exit_codes():
    numbers, codes = (signal.SIGINT, signal.SIGTERM), []
    before = [signal.getsignal(number) for number in numbers]
    command_line.end_on_signals(codes.append)
    for number, handler in zip(numbers, before):
        signal.raise_signal(number)
        signal.signal(number, handler)
    assert codes == [130, 143]


def test_a_signal_ends_the_process_whatever_error_becomes_of_it():
    code = """
import os, signal, sys
import command_line

def main(argv):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except SystemExit:
        raise RuntimeError("Exiting device scope without proper scope nesting.") from None

command_line.import_tensorflow = command_line.set_up_logging = lambda *arguments: None
command_line.run(main, lambda: None, lambda arguments: None)
"""
    process = run_python("-c", code)
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "")


def test_arguments_that_are_no_flags_are_returned():
    assert command_line.parse_flags(["predict.py", "a.png", "b.png"])[1:] == ["a.png", "b.png"]


def test_errors_do_not_go_among_the_answers_where_standard_error_is_closed():
    code = """
import os, sys
os.close(0)
os.close(2)
sys.stderr = None
import command_line
command_line.parse_flags(["predict.py"])
os.close(os.dup(2))
command_line.end("an error")
"""
    process = run_python("-c", code)
    assert (process.returncode, process.stdout, process.stderr) == (2, "", "")
