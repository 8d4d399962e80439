"""What both scripts do around TensorFlow, whose import takes seconds: read flags, obey Ctrl-C."""

import os
import shlex
import signal
import subprocess
import sys

from absl import app, flags


def parse_flags(argv):
    """Returns the arguments that are no flags; answers --help; exits with 2 for a usage error."""
    app.define_help_flags()
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        end(error)


def end(error):
    """Exits with 2 for a usage error, as command-line programs do."""
    script = os.path.basename(sys.argv[0])
    print(f"{script}: {error}; see --help", file=sys.stderr)
    sys.exit(2)


def end_on_signals(exit_process):
    """Makes Ctrl-C and SIGTERM end the process without a traceback, with 130 and 143.

    `exit_process` is `os._exit` or `sys.exit`. The latter lets files be tidied up, but while
    modules are imported C++ code would make an ImportError of it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: exit_process(128 + number))


def quote(path):
    """As this platform's shell takes it."""
    return shlex.quote(path) if os.name == "posix" else subprocess.list2cmdline([path])
