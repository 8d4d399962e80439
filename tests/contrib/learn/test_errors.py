import errno
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from contrib.learn import errors
from contrib.learn.errors import find_storage_problem

FULL = os.strerror(errno.ENOSPC)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (OSError(errno.ENOSPC, FULL, "model/a"), f"model/a: {FULL}"),
        (OSError(errno.ENOSPC, FULL), f"model: {FULL}"),
        (OSError(errno.ENOENT, "No such file", "model/a"), "model/a: No such file"),
        (OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN)), None),
        (RuntimeError(f"Save failed:\nmodel/a; {FULL}\n\t[[node]]"), f"model/a: {FULL}"),
        (RuntimeError(FULL), f"model: {FULL}"),
        (RuntimeError("model/eval is not a directory"), "model/eval is not a directory"),
        (RuntimeError("graph; a bug"), None),
        (IndexError("a bug"), None),
    ],
)
def test_a_storage_problem_has_the_file_and_the_cause(error, problem):
    assert find_storage_problem(error, "model") == problem


@pytest.mark.parametrize(
    ("platform", "quoted"), [("posix", "'a directory'"), ("nt", '"a directory"')]
)
def test_a_path_is_quoted_as_the_shell_takes_it(platform, quoted, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(errors.os, "name", platform)
        text = errors.quote("a directory")
    assert text == quoted


def test_errors_import_no_tensorflow():
    code = "import contrib.learn.errors, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
