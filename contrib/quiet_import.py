"""Imports TensorFlow without its noise."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading


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
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error.strerror}; set TMPDIR to one")
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
