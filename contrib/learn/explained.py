"""Makes one line of the errors of TensorFlow that the user must fix."""

import contextlib
import re
import threading

import tensorflow as tf

from contrib.learn.errors import UserError, find_storage_problem


@contextlib.contextmanager
def explained(model_dir, trains=False):
    """Raises a `UserError` if training diverged, a file can't be used or a checkpoint does not fit.

    Args:
      model_dir: the model directory of the Estimator.
      trains: whether the block trains, so that earlier checkpoints are worth a word.
    """
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
        checkpoint = tf.train.latest_checkpoint(model_dir)
        difference = checkpoint and _find_difference(error, checkpoint)
        if difference:
            raise UserError(
                f"{checkpoint} is of another model: {difference}; "
                "give another --model_dir or the hyperparameters of that model"
            ) from error
        problem = find_storage_problem(error, model_dir)
        if not problem:
            raise
        kept = "earlier checkpoints are as they were, " if trains else ""
        raise UserError(
            f"{problem}; {kept}run the same command again once this is mended"
        ) from error
    finally:
        is_over = True  # with another Experiment in another thread it may stay in the chain
        threading.excepthook = previous_excepthook


def _find_difference(error, checkpoint):
    """Returns how the graph of a failed restore differs from the checkpoint, or None."""
    if "Restoring from checkpoint failed" not in str(error) or not getattr(error, "op", None):
        return None
    found = tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map()
    for variable in error.op.graph.get_collection(tf.compat.v1.GraphKeys.GLOBAL_VARIABLES):
        name, shape = variable.op.name, variable.shape.as_list()
        if re.sub(r"/part_\d+", "", name) in found.keys() - {name}:
            continue  # a part of a partitioned variable, which is saved as one
        if found.get(name) != shape:
            there = f"has shape {found[name]}" if name in found else "is missing"
            return f"{name} {there}, this model's has shape {shape}"
    return None
