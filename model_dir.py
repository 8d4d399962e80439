"""What a run asks of `model_dir` before it starts, and in which words it fails there."""

import contextlib
import errno
import fcntl
import glob
import os
import pathlib
import shutil
import sys
import threading

import tensorflow as tf
from absl import logging

LOCK_FILE = "lock"
DAMAGED_DIR = "damaged"

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
    )
}


class SetupError(Exception):
    """What the user has to see to before a run can start, in one line."""


@contextlib.contextmanager
def lock(model_dir):
    """Keeps other training processes out of `model_dir`, which it makes if there is none.

    The lock is gone with the process that holds it, however that ends; the file stays.

    Raises:
      SetupError: another process has the lock.
    """
    if os.path.isfile(model_dir):
        raise SetupError(f"--model_dir {model_dir} is a file; give a directory")
    os.makedirs(model_dir, exist_ok=True)
    with open(os.path.join(model_dir, LOCK_FILE), "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SetupError(
                f"--model_dir {model_dir}: process {file.read()} is training there; "
                "wait for its end or give another directory"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


def set_damaged_checkpoints_aside(model_dir):
    """Makes the newest whole checkpoint the latest; newer, damaged ones go to `damaged/`.

    A power cut can leave the files of the last checkpoint, or the file that names it, cut short.
    """
    for unfinished in pathlib.Path(model_dir).glob("model.ckpt-*_temp"):  # its run was killed
        shutil.rmtree(unfinished)
    latest, checkpoints = _find_checkpoints(model_dir)
    while checkpoints:
        problem = find_damage(checkpoints[0])
        if not problem:
            break
        damaged = pathlib.Path(checkpoints.pop(0))
        logging.warning("%s is damaged: %s; it goes to %s/", damaged, problem, DAMAGED_DIR)
        _move_to_damaged_dir(model_dir, damaged.parent.glob(damaged.name + ".*"))
    if checkpoints and checkpoints[0] != latest:
        # Relative paths, so that the directory can be moved.
        paths = [os.path.relpath(path) for path in checkpoints]
        tf.compat.v1.train.update_checkpoint_state(
            os.path.relpath(model_dir), paths[0], paths[::-1]
        )
    elif not checkpoints:
        _move_to_damaged_dir(model_dir, pathlib.Path(model_dir).glob("checkpoint"))


def _find_checkpoints(model_dir):
    """Returns the checkpoint that `model_dir` calls its latest, or None, and a list of all.

    The list begins with the latest; the others follow by step, newest first.
    """
    pattern = os.path.join(glob.escape(model_dir), "model.ckpt-[0-9]*.index")
    found = [os.path.splitext(path)[0] for path in glob.glob(pattern)]
    found.sort(key=get_step, reverse=True)
    state = read_checkpoint_state(model_dir)
    if state:
        latest = state.model_checkpoint_path
        return latest, [latest, *(path for path in found if path != latest)]
    if found:
        logging.warning("%s is missing or damaged", os.path.join(model_dir, "checkpoint"))
    return None, found


def read_checkpoint_state(model_dir):
    """Returns the `CheckpointState` of `model_dir`, or None if there is none that can be read."""
    try:
        return tf.train.get_checkpoint_state(model_dir)
    except ValueError:  # it is empty, or no text
        return None


def get_step(checkpoint):
    """The global step in a checkpoint's name, such as "model.ckpt-100"."""
    return int(checkpoint.rpartition("-")[2])


def find_damage(checkpoint):
    """Returns what keeps a checkpoint from being read to the end, or None."""
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, IndexError) as error:  # IndexError: the data is too short
        return str(error).partition("\n")[0]
    return None


def _move_to_damaged_dir(model_dir, paths):
    for path in paths:
        os.makedirs(os.path.join(model_dir, DAMAGED_DIR), exist_ok=True)
        os.replace(path, os.path.join(model_dir, DAMAGED_DIR, path.name))


def check_checkpoint(estimator, input_fn, mode):
    """Checks that the latest checkpoint, if there is one, is whole and of the estimator's model.

    Raises:
      SetupError: it is not, or it is damaged.
    """
    checkpoint, _ = _find_checkpoints(estimator.model_dir)
    if not checkpoint:
        return
    problem = find_damage(checkpoint)
    if problem:
        raise SetupError(f"{checkpoint} is damaged: {problem}; train on to replace it")
    found = tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map()
    with tf.Graph().as_default():
        tf.compat.v1.train.create_global_step()
        features, labels = input_fn()
        estimator.model_fn(features, labels, mode, estimator.config)
        for variable in tf.compat.v1.global_variables():
            name, shape = variable.op.name, variable.shape.as_list()
            if found.get(name) != shape:
                there = f"has shape {found[name]}" if name in found else "is missing"
                raise SetupError(
                    f"{checkpoint} is of another model: {name} {there}, this model's has shape "
                    f"{shape}; give another --model_dir or the hyperparameters of that model"
                )


def check_free_space(path):
    """Raises an OSError if the disk is full: TensorFlow can lose events then without a word."""
    if not shutil.disk_usage(path).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


@contextlib.contextmanager
def errors_for_people(model_dir):
    """Ends the process with one line where training diverged or a file can't be written."""
    previous_excepthook = threading.excepthook

    def excepthook(args):
        # The thread that writes events; the main thread raises the same error afterwards.
        if not _find_storage_problem(args.exc_value, model_dir):
            previous_excepthook(args)

    threading.excepthook = excepthook
    try:
        yield
    except SetupError as error:
        sys.exit(f"mnist_estimator.py: {error}")
    except tf.compat.v1.train.NanLossDuringTrainingError:
        sys.exit(
            "mnist_estimator.py: training diverged, the loss is not a number any more; the last "
            f"checkpoint is {tf.train.latest_checkpoint(model_dir)}; "
            "give a smaller --hparams learning_rate"
        )
    except (OSError, RuntimeError, tf.errors.OpError) as error:
        problem = _find_storage_problem(error, model_dir)
        if not problem:
            raise
        sys.exit(
            f"mnist_estimator.py: {problem}; earlier checkpoints are as they were, "
            "run the same command again once this is mended"
        )
    finally:
        threading.excepthook = previous_excepthook


def _find_storage_problem(error, model_dir):
    """Returns which file can't be used and why, or None if the error is of another kind."""
    if isinstance(error, OSError) and (error.filename or error.strerror in _CAUSES):
        return f"{error.filename or model_dir}: {error.strerror}"
    for line in str(error).splitlines():
        path, _, cause = line.rpartition("; ")
        if cause in _CAUSES:
            return f"{path}: {cause}"
    return None
