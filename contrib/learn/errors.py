"""What goes wrong by the user's or the machine's doing: one line instead of a traceback."""

import contextlib
import errno
import os
import threading

import tensorflow as tf

# Why a file can't be written, in the words that TensorFlow's messages end with.
_CAUSES = {
    os.strerror(number)
    for number in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
    )
}


class UserError(ValueError):
    """What the user has to see to: one line that says what is wrong, where, and what to do."""


@contextlib.contextmanager
def explained(model_dir):
    """Raises a `UserError` where training diverged or a file can't be used."""
    previous_excepthook, is_over = threading.excepthook, False

    def excepthook(args):
        # The thread that writes events; the main thread raises the same error afterwards.
        if is_over or not find_storage_problem(args.exc_value, model_dir):
            previous_excepthook(args)

    threading.excepthook = excepthook
    try:
        yield
    except tf.compat.v1.train.NanLossDuringTrainingError as error:
        raise UserError(
            "training diverged, the loss is not a number any more; the last checkpoint is "
            f"{tf.train.latest_checkpoint(model_dir)}; give a smaller --hparams learning_rate"
        ) from error
    except (OSError, RuntimeError, IndexError, tf.errors.OpError) as error:  # EFBIG: IndexError
        problem = find_storage_problem(error, model_dir)
        if not problem:
            raise
        raise UserError(
            f"{problem}; earlier checkpoints are as they were, "
            "run the same command again once this is mended"
        ) from error
    finally:
        is_over = True  # with another Experiment in another thread it may stay in the chain
        threading.excepthook = previous_excepthook


def find_storage_problem(error, model_dir):
    """Returns which file can't be used and why, or None if the error is of another kind."""
    if isinstance(error, OSError) and (error.filename or error.strerror in _CAUSES):
        return f"{error.filename or model_dir}: {error.strerror}"
    for line in str(error).splitlines():
        path, _, cause = line.rpartition("; ")
        if cause in _CAUSES:
            return f"{path or model_dir}: {cause}"
        if line.endswith(" is not a directory"):
            return line
    return None
