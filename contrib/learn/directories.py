"""Directories of a run: a lock, the hyperparameters, the names and the space in them.

A path here belongs to one of TensorFlow's file systems: `file://` and `gs://` are as good as `/`.
"""

import contextlib
import errno
import json
import os
import platform
import shutil

import filelock
import tensorflow as tf
from absl import logging

from contrib.learn.errors import UserError

LOCK_FILE, HOLDER_FILE = "lock", "lock_holder"
HPARAMS_FILE = "hparams.json"


@contextlib.contextmanager
def lock(model_dir):
    """Makes `model_dir` and keeps other training processes out of it.

    The lock ends with its process, also if the process is killed. The files of the lock stay. A
    warning tells of a file system without locks.

    Raises:
      UserError: the directory can't be made, or another process has the lock.
    """
    make_directory("model_dir", model_dir)
    holder_file = os.path.join(model_dir, HOLDER_FILE)
    try:
        acquired = _acquire(os.path.join(model_dir, LOCK_FILE))
    except filelock.Timeout:
        holder = ""
        with contextlib.suppress(tf.errors.NotFoundError), tf.io.gfile.GFile(holder_file) as file:
            holder = file.read()
        raise UserError(
            f"--model_dir {model_dir}: process {holder or 'that has just begun'} is training "
            "there; wait for its end or give another directory"
        ) from None
    with acquired:
        with tf.io.gfile.GFile(holder_file, "w") as file:
            file.write(f"{os.getpid()} on {platform.node()}")
        yield


def make_directory(flag, path):
    with told_by_flag(flag, path):
        if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path):
            raise UserError(f"--{flag} {path} is a file; give a directory")
        tf.io.gfile.makedirs(path)


@contextlib.contextmanager
def told_by_flag(flag, path):
    try:
        yield
    except tf.errors.OpError as error:
        raise UserError(f"--{flag} {path}: {_cause(error)}; give another directory") from error


def _cause(error):
    """Returns the end of a message of TensorFlow's file systems, such as "path; Is a directory"."""
    return error.message.rpartition("; ")[2]


def _acquire(path):
    """Returns the acquired lock, a context manager."""
    local_path = _find_local_path(path)
    try:
        if not local_path:
            raise NotImplementedError
        return filelock.FileLock(local_path).acquire(timeout=0)
    except (NotImplementedError, OSError) as error:
        without_locks = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
        if isinstance(error, OSError) and error.errno not in without_locks:
            raise
        logging.warning("%s can't be locked there: let no other process train in it", path)
        return contextlib.nullcontext()


def _find_local_path(path):
    """Returns the path for code other than TensorFlow, None if only TensorFlow can reach it."""
    local_path = path.removeprefix("file://")
    return None if "://" in local_path else local_path


def save_hparams(model_dir, values):
    """Writes hyperparameters, `{name: value}`, to `model_dir`, for programs that load the model."""
    path = os.path.join(model_dir, HPARAMS_FILE)
    with tf.io.gfile.GFile(path + ".tmp", "w") as file:
        file.write(json.dumps(values) + "\n")
    tf.io.gfile.rename(path + ".tmp", path, overwrite=True)


def load_hparams(model_dir):
    """Returns the hyperparameters kept in `model_dir`, `{name: value}`; {} if there are none.

    Raises:
      UserError: the file holds something else, or can't be read.
    """
    path = os.path.join(model_dir, HPARAMS_FILE)
    try:
        with tf.io.gfile.GFile(path) as file:
            values = json.loads(file.read())
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return values
    except tf.errors.NotFoundError:
        return {}
    except tf.errors.OpError as error:
        raise UserError(f"{path}: {_cause(error)}; give another --model_dir") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}; remove it to use the defaults") from error


def list_names(directory, start, end=""):
    """Returns the names in a directory with this start and end; [] if there is no directory."""
    names = tf.io.gfile.listdir(directory) if tf.io.gfile.isdir(directory) else []
    names = [
        name.rstrip("/") for name in names
    ]  # an object store ends the name of a directory with a slash
    return [name for name in names if name.startswith(start) and name.endswith(end)]


def check_free_space(path):
    """Raises an OSError if the disk is full, because TensorFlow can lose events silently."""
    local_path = _find_local_path(path)
    if local_path and os.path.exists(local_path) and not shutil.disk_usage(local_path).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
