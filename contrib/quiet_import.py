"""Imports TensorFlow without its noise."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading


def import_tensorflow(get_session_config=lambda: None):
    """Imports TensorFlow without its C++ and CUDA notices, unless the user asked for notices.

    Since 2.18 TensorFlow ignores TF_CPP_MIN_LOG_LEVEL for some notices of its import and of its
    first session. So file descriptor 2 leads to `tail` during both. `tail` writes nothing before
    the end of its input. When all went well, `tail` is killed, and the notices are gone. When the
    import raises, or C++ aborts the process, `tail` writes the notices.

    Args:
      get_session_config: called after the import; returns the `tf.compat.v1.ConfigProto` of the
        first session, or None. The first session of a process fixes the threads of all sessions.
    """
    # tensorflow-estimator imports Keras; the user may have set another backend of Keras.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # TensorFlow takes the memory of a GPU when it needs the memory, not all at once.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    try:
        tempfile.gettempdir()  # TensorFlow asks for it
    except OSError as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error.strerror}; set TMPDIR to one")
    asked_for = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") in ("0", "1")
    tail = shutil.which("tail")  # Windows has none
    if asked_for or tail is None or sys.stderr is None:  # closed
        return  # TensorFlow is imported where it is used
    stderr = os.dup(2)
    with subprocess.Popen([tail, "-n", "999"], stdin=subprocess.PIPE, stdout=stderr) as notices:
        try:
            os.dup2(notices.stdin.fileno(), 2)
            with _before_signals(notices.kill):
                import tensorflow as tf

                config = get_session_config()
                with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
                    session.run(tf.constant(0))
            notices.kill()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def _before_signals(function):
    """Calls `function` before the handlers of Ctrl-C and SIGTERM, which may end the process."""
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
