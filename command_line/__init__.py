"""What both scripts do around TensorFlow, whose import takes seconds and makes a lot of noise."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

from absl import app, flags


def parse_flags(argv):
    """Returns the arguments that are no flags; answers --help; exits with 2 for a usage error."""
    if sys.stderr is None:  # closed: print would take standard output for it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.stderr = open(2, "w")  # noqa: SIM115
    app.define_help_flags()
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        end(error)
    except SystemExit:  # of --help, which absl ends with 1
        sys.exit(0)


def end(error):
    """Exits with 2 for a usage error, as command-line programs do."""
    print(f"{_script()}: {error}; see --help", file=sys.stderr)
    sys.exit(2)


def _script():
    return os.path.basename(sys.argv[0])


def check_model_dir(model_dir):
    """Exits with 2 if TensorFlow would find no files there, or those of other directories."""
    if not model_dir:
        end("--model_dir is empty; give a directory")
    check_encoding("model_dir", model_dir)
    for character in "*?[" + "\\" * (os.name == "posix"):
        if character in model_dir:
            end(
                f"--model_dir {model_dir}: TensorFlow takes {character} for a pattern of names; "
                "give a directory without it"
            )


def check_encoding(flag, path):
    """Exits with 2 if a path has bytes that are no text: TensorFlow takes text only."""
    try:
        path.encode()
    except UnicodeEncodeError:
        end(f"--{flag} {path!a} is not UTF-8, or the locale is not; give another directory")


def discard_output(error):
    """Sends what is printed from here on nowhere, after an OSError of standard output.

    Returns whether something is wrong, and says so: not if who reads has read enough, as `head -1`.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return False
    text = f"{_script()}: standard output: {error.strerror}\n"
    with contextlib.suppress(OSError):  # it may go to the same file
        print(text, end="", file=sys.stderr)  # with its end, as other threads may print it, too
    return True


def end_on_signals(exit_process):
    """Makes Ctrl-C and SIGTERM end the process without a traceback, with 130 and 143.

    `exit_process` is `os._exit` or `sys.exit`. The latter lets files be tidied up, but while
    modules are imported C++ code would make an ImportError of it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: exit_process(128 + number))


def import_tensorflow():
    """Imports TensorFlow without its C++ and CUDA notices, unless the user asked for them.

    Since 2.18 TensorFlow writes some of them, when it is imported and when it runs its first
    session, whatever TF_CPP_MIN_LOG_LEVEL says. So file descriptor 2 leads to `tail` for both,
    which writes nothing before the end of its input: killed when all went well, it drops the
    notices; when the import raises, or C++ aborts the process, it passes on what they say.
    """
    # tensorflow-estimator imports Keras, which the user may have run on something else.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # A GPU's memory is taken as it is needed, not all at once.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    try:
        tempfile.gettempdir()  # TensorFlow asks for it
    except OSError as error:
        sys.exit(f"{_script()}: {error.strerror}; set TMPDIR to one")
    asked_for = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") in ("0", "1")
    tail = shutil.which("tail")  # Windows has none
    if asked_for or tail is None or sys.stderr is None:  # closed, where no flags are parsed
        return  # who needs it imports it
    stderr = os.dup(2)
    with subprocess.Popen([tail, "-n", "999"], stdin=subprocess.PIPE, stdout=stderr) as notices:
        try:
            os.dup2(notices.stdin.fileno(), 2)
            with _before_signals(notices.kill):
                import tensorflow as tf

                with tf.Graph().as_default(), tf.compat.v1.Session() as session:
                    session.run(tf.constant(0))
            notices.kill()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def _before_signals(function):
    """Calls it before the handlers of Ctrl-C and SIGTERM, which may end the process at once."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number, frame):
        function()
        handlers[number](number, frame)

    in_main_thread = threading.current_thread() is threading.main_thread()
    handled = [number for number in handlers if in_main_thread and callable(handlers[number])]
    for number in handled:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, handlers[number])


def quote(path):
    """As this platform's shell takes it."""
    return shlex.quote(path) if os.name == "posix" else subprocess.list2cmdline([path])
