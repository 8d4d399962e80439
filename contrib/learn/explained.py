"""Makes one line of the errors of TensorFlow that the user must fix."""

import contextlib
import threading

import tensorflow as tf

from contrib.learn.errors import UserError, find_storage_problem


@contextlib.contextmanager
def explained(model_dir, trains=False):
    """Raises a `UserError` if training diverged or a file can't be used.

    Args:
      model_dir: the model directory of the Estimator.
      trains: whether the block trains, so that earlier checkpoints are worth a word.
    """
    previous_excepthook, is_over = threading.excepthook, False

    def excepthook(args):
        # The thread that writes events fails first; the main thread raises the same error later.
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
        kept = "earlier checkpoints are as they were, " if trains else ""
        raise UserError(
            f"{problem}; {kept}run the same command again once this is mended"
        ) from error
    finally:
        is_over = True  # an Experiment in another thread may keep this function in the chain
        threading.excepthook = previous_excepthook
