"""Flags, signals and output of both scripts."""

import contextlib
import logging as standard_logging
import os
import signal
import sys
import warnings

from absl import app, flags, logging

from contrib.quiet_import import import_tensorflow


def parse_flags(argv):
    """Returns the arguments that are not flags; answers --help; exits with 2 for a usage error."""
    if sys.stderr is None:  # closed: print would write to standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.stderr = open(2, "w")  # noqa: SIM115
    app.define_help_flags()
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        end(error)
    except SystemExit:  # absl ends --help with 1
        sys.exit(0)


def end(error):
    """Exits with 2 for a usage error, as command-line programs do."""
    print(f"{_script()}: {error}; see --help", file=sys.stderr)
    sys.exit(2)


def _script():
    return os.path.basename(sys.argv[0])


def check_model_dir(model_dir):
    """Exits with 2 if TensorFlow would find no files there, or files of other directories."""
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
    """Exits with 2 if a path has bytes that are not text, because TensorFlow takes text only."""
    try:
        path.encode()
    except UnicodeEncodeError:
        end(f"--{flag} {path!a} is not UTF-8, or the locale is not; give another directory")


def discard_output(error):
    """Discards all further output, after an OSError of standard output.

    Returns False if the reader closed the pipe, as `head -1` does; else reports the error, and
    returns True.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return False
    text = f"{_script()}: standard output: {error.strerror}\n"
    with contextlib.suppress(OSError):  # standard error may be the same file
        print(text, end="", file=sys.stderr)  # in one write, because other threads may print, too
    return True


def end_on_signals(exit_process):
    """Makes Ctrl-C and SIGTERM end the process without a traceback, with 130 and 143.

    `exit_process` is `os._exit` or `sys.exit`. `sys.exit` tidies up files, but C++ code would make
    an ImportError of `sys.exit` while modules are imported.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: exit_process(128 + number))


def run(main, define_flags, check_flags, get_session_config=lambda: None):
    """Runs a script: reads its flags, then imports TensorFlow, then calls `main(argv)`.

    Wrong flags are told at once, because the import of TensorFlow takes seconds. For
    `get_session_config` see `import_tensorflow`.
    """
    end_on_signals(os._exit)
    define_flags()
    check_flags(parse_flags(sys.argv))
    import_tensorflow(get_session_config)
    exit_codes = []

    def exit_process(code):
        exit_codes.append(code)
        sys.exit(code)

    end_on_signals(exit_process)
    set_up_logging()
    try:
        app.run(main, flags_parser=parse_flags)
    except Exception:
        # Context managers of TensorFlow can make another error of the SystemExit of a signal.
        if exit_codes:
            sys.exit(exit_codes[0])
        raise


def set_up_logging():
    """Shows each message once, without a prefix: TensorFlow's logger has a handler beside absl's.

    TensorFlow's own messages are for --verbosity=1 (debug); its errors are raised as well.
    """
    # TensorFlow 2.20 writes text in a way that its protobuf warns of.
    warnings.filterwarnings("ignore", module="google.protobuf")
    logging.get_absl_handler().setFormatter(None)
    logger = standard_logging.getLogger("tensorflow")
    logger.handlers.clear()
    logger.setLevel("INFO" if logging.get_verbosity() >= logging.DEBUG else "FATAL")
