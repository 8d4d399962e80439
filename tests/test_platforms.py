"""What a platform without Unix' modules and functions can import and call."""

import ast
import subprocess
import sys

import pytest
from conftest import PRODUCT_FILES, ROOT, get_module

MODULES = [name for name in map(get_module, PRODUCT_FILES) if not name.endswith("__main__")]
# Python's documentation: "Availability: Unix".
UNIX_MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
UNIX_NAMES = {
    *("chown", "chroot", "fork", "getloadavg", "getpgid", "getuid", "geteuid", "getgid", "killpg"),
    *("mkfifo", "mknod", "nice", "pathconf", "posix_spawn", "setsid", "statvfs", "sysconf"),
    *("uname", "wait3", "wait4", "waitstatus_to_exitcode"),
    *("SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGCHLD"),
    *("alarm", "pause", "pthread_kill", "setitimer", "sigwait", "AF_UNIX", "SO_REUSEPORT"),
}


def test_all_modules_can_be_imported_without_the_modules_of_unix():
    code = f"""
import sys, absl.app, absl.logging, filelock, numpy, PIL.ImageDraw, tensorboard, tensorflow
import PIL.ImageFont, PIL.ImageOps
sys.modules.update(dict.fromkeys({UNIX_MODULES}))
import {", ".join(MODULES)}
"""
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("path", PRODUCT_FILES, ids=get_module)
def test_no_module_uses_what_only_unix_has(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & UNIX_NAMES
