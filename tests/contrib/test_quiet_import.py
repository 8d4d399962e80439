import signal
import sys

import pytest
from conftest import run_python

IMPORT = "from contrib.quiet_import import import_tensorflow; import_tensorflow()"


@pytest.fixture
def import_fake_tensorflow(tmp_path):
    """A function that imports a `tensorflow` that writes as C++, and ends."""

    def run(end):
        fake = f"import os, signal\nos.write(2, b'this processor has no AVX')\n{end}\n"
        (tmp_path / "tensorflow.py").write_text(fake)
        return run_python("-c", IMPORT, PYTHONPATH=str(tmp_path))

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
def test_a_handler_that_ends_the_process_during_the_import_shows_no_notices(number):
    code = f"""
import os, signal, sys, threading
number = int(sys.argv[1])
signal.signal(number, lambda *args: os._exit(7))
threading.Timer(0.5, os.kill, [os.getpid(), number]).start()
{IMPORT}
"""
    process = run_python("-c", code, int(number))
    assert (process.returncode, process.stderr) == (7, "")


def test_the_import_is_quiet_with_a_log_level_of_2():
    process = run_python("-c", IMPORT, TF_CPP_MIN_LOG_LEVEL="2")
    assert (process.returncode, process.stderr) == (0, "")


def test_the_import_works_without_stderr():
    command = [sys.executable, "-c", f"{IMPORT}; import tensorflow; print(7)"]
    process = run_python("-c", f"import os; os.close(2); os.execv({command[0]!r}, {command})")
    assert (process.returncode, process.stdout) == (0, "7\n")


def test_notices_that_were_asked_for_are_shown():
    process = run_python("-c", f"{IMPORT}; import tensorflow", TF_CPP_MIN_LOG_LEVEL="0")
    assert "oneDNN" in process.stderr


def test_a_machine_without_a_temporary_directory_is_a_line():
    code = (
        f"import sys, tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere']; {IMPORT}"
    )
    process = run_python("-c", code)
    assert process.returncode == 1
    [line] = process.stderr.splitlines()
    assert "No usable temporary directory found" in line
    assert line.endswith("; set TMPDIR to one")
