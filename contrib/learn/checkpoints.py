"""What a run asks of `model_dir` and `export_dir`: a lock, whole checkpoints, hparams.json.

A path here is one of TensorFlow's file systems: `file://` and the like are as good as plain ones.
"""

import contextlib
import errno
import json
import os
import platform
import re
import shutil
import uuid

import filelock
import tensorflow as tf
from absl import logging

from command_line import quote
from contrib.learn.errors import UserError, find_storage_problem
from contrib.training.hparam import HParams
from tf_estimator import get_features_and_labels

LOCK_FILE, HOLDER_FILE = "lock", "lock_holder"
HPARAMS_FILE = "hparams.json"
DAMAGED_DIR = "damaged"


@contextlib.contextmanager
def lock(model_dir):
    """Keeps other training processes out of `model_dir`, which it makes if there is none.

    The lock is gone with the process that holds it, however that ends; the files stay. Where there
    are no locks, a warning says so.

    Raises:
      UserError: it can't be made, or another process has the lock.
    """
    _make_directory("model_dir", model_dir)
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


def _make_directory(flag, path):
    with _told_by_flag(flag, path):
        if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path):
            raise UserError(f"--{flag} {path} is a file; give a directory")
        tf.io.gfile.makedirs(path)


@contextlib.contextmanager
def _told_by_flag(flag, path):
    try:
        yield
    except tf.errors.OpError as error:
        raise UserError(f"--{flag} {path}: {_cause(error)}; give another directory") from error


def _cause(error):
    """What a message of TensorFlow's file systems, such as "path; Is a directory", ends with."""
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
    """Returns the path for who is not TensorFlow, None if only TensorFlow can reach it."""
    local_path = path.removeprefix("file://")
    return None if "://" in local_path else local_path


def save_hparams(model_dir, params):
    """Keeps `HParams` in `model_dir`, for whoever rebuilds the model."""
    path = os.path.join(model_dir, HPARAMS_FILE)
    with tf.io.gfile.GFile(path + ".tmp", "w") as file:
        file.write(params.to_json() + "\n")
    tf.io.gfile.rename(path + ".tmp", path, overwrite=True)


def load_hparams(model_dir):
    """Returns the `HParams` kept in `model_dir`; the defaults if there are none, as in 2017.

    Raises:
      UserError: the file holds something else, or can't be read.
    """
    path = os.path.join(model_dir, HPARAMS_FILE)
    try:
        with tf.io.gfile.GFile(path) as file:
            values = json.loads(file.read())
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return HParams().override(values)
    except tf.errors.NotFoundError:
        return HParams()
    except tf.errors.OpError as error:
        raise UserError(f"{path}: {_cause(error)}; give another --model_dir") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}; remove it to use the defaults") from error


def set_damaged_checkpoints_aside(model_dir):
    """Makes the newest whole checkpoint the latest; newer, damaged ones go to `damaged/`.

    A power cut can leave the files of the last checkpoint, or the file that names it, cut short.
    """
    for name in list_names(model_dir, "model.ckpt-", "_temp"):  # its run was killed
        tf.io.gfile.rmtree(os.path.join(model_dir, name))
    latest, checkpoints = _find_checkpoints(model_dir)
    damages, checkpoints = _split_at_whole_one(checkpoints)
    for damaged, problem in damages.items():
        logging.warning("%s is damaged: %s; it goes to %s/", damaged, problem, DAMAGED_DIR)
        _move_to_damaged_dir(model_dir, list_names(model_dir, os.path.basename(damaged) + "."))
    if checkpoints and checkpoints[0] != latest:
        names = [os.path.basename(path) for path in checkpoints]
        lines = [f'model_checkpoint_path: "{names[0]}"']
        # Names alone, as they are in this directory, wherever it is moved.
        lines += [f'all_model_checkpoint_paths: "{name}"' for name in names[::-1]]
        with tf.io.gfile.GFile(os.path.join(model_dir, "checkpoint"), "w") as file:
            file.write("\n".join(lines) + "\n")
    elif not checkpoints and tf.io.gfile.exists(os.path.join(model_dir, "checkpoint")):
        _move_to_damaged_dir(model_dir, ["checkpoint"])


def list_names(directory, start, end=""):
    """The names in a directory that start and end so; none if there is no such directory."""
    names = tf.io.gfile.listdir(directory) if tf.io.gfile.isdir(directory) else []
    names = [name.rstrip("/") for name in names]  # as object stores name directories
    return [name for name in names if name.startswith(start) and name.endswith(end)]


def _find_checkpoints(model_dir):
    """Returns the checkpoint that `model_dir` calls its latest, or None, and a list of all.

    The list begins with the latest; the others follow by step, newest first.
    """
    names = [name.removesuffix(".index") for name in list_names(model_dir, "model.ckpt-", ".index")]
    names.sort(key=get_step, reverse=True)
    found = [os.path.join(model_dir, name) for name in names]
    state = read_checkpoint_state(model_dir)
    if state:
        latest = state.model_checkpoint_path
        return latest, [latest, *(path for path in found if path != latest)]
    if found:
        logging.warning("%s is missing or damaged", os.path.join(model_dir, "checkpoint"))
    return None, found


def find_whole_checkpoint(model_dir):
    """Returns the latest checkpoint that can be read to the end.

    Raises:
      UserError: there is none.
    """
    damages, whole = _split_at_whole_one(_find_checkpoints(model_dir)[1])
    texts = [f"{checkpoint} is damaged: {problem}" for checkpoint, problem in damages.items()]
    if whole:
        for text in texts:
            logging.warning("%s; %s is used instead", text, whole[0])
        return whole[0]
    if texts:
        raise UserError(f"{texts[0]}; train on to replace it")
    command = f"python mnist_estimator.py --model_dir {quote(model_dir)}"
    raise UserError(f"{model_dir} has no checkpoint yet; train first: {command}")


def _split_at_whole_one(checkpoints):
    """Returns {damaged: why} of those before the first whole one, and the list from that on."""
    damages = {}
    for checkpoint in checkpoints:
        problem = find_damage(checkpoint)
        if not problem:
            break
        damages[checkpoint] = problem
    return damages, checkpoints[len(damages) :]


def read_checkpoint_state(model_dir):
    """Returns the `CheckpointState` of `model_dir`, or None if there is none that can be read."""
    try:
        return tf.train.get_checkpoint_state(model_dir)
    except ValueError:  # it is empty, or no text
        return None


def get_step(checkpoint):
    """The global step in a checkpoint's name, such as "model.ckpt-100"; 0 if it has none."""
    step = checkpoint.rpartition("-")[2]
    return int(step) if step.isdecimal() else 0


def find_damage(checkpoint):
    """Returns what keeps a checkpoint from being read to the end, or None.

    What keeps any file there from being read is raised: a checkpoint may be whole all the same.
    """
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, IndexError) as error:  # IndexError: the data is too short
        if find_storage_problem(error, checkpoint):
            raise
        return str(error).partition("\n")[0]
    return None


def _move_to_damaged_dir(model_dir, names):
    for name in names:
        tf.io.gfile.makedirs(os.path.join(model_dir, DAMAGED_DIR))
        target = os.path.join(model_dir, DAMAGED_DIR, name)
        tf.io.gfile.rename(os.path.join(model_dir, name), target, overwrite=True)


def check_checkpoint(checkpoint, estimator, input_fn, mode):
    """Checks that a checkpoint is of the estimator's model.

    Raises:
      UserError: it is not.
    """
    found = tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map()
    with tf.Graph().as_default():
        tf.compat.v1.set_random_seed(estimator.config.tf_random_seed)
        tf.compat.v1.train.create_global_step()
        features, labels, _ = get_features_and_labels(estimator, input_fn, mode)
        estimator.model_fn(features, labels, mode, estimator.config)
        for variable in tf.compat.v1.global_variables():
            name, shape = variable.op.name, variable.shape.as_list()
            if re.sub(r"/part_\d+", "", name) in found.keys() - {name}:
                continue  # a part of a partitioned variable, which is saved as one
            if found.get(name) != shape:
                there = f"has shape {found[name]}" if name in found else "is missing"
                raise UserError(
                    f"{checkpoint} is of another model: {name} {there}, this model's has shape "
                    f"{shape}; give another --model_dir or the hyperparameters of that model"
                )


def check_free_space(path):
    """Raises an OSError if the disk is full: TensorFlow can lose events then without a word."""
    local_path = _find_local_path(path)
    if local_path and not shutil.disk_usage(local_path).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def check_export_dir(export_dir):
    """Finds out before training, not after it, whether `export_dir` can be written; makes it.

    Raises:
      UserError: it can't.
    """
    _make_directory("export_dir", export_dir)
    with _told_by_flag("export_dir", export_dir), own_export_dir(export_dir) as own_dir:
        tf.io.gfile.makedirs(own_dir)


@contextlib.contextmanager
def own_export_dir(export_dir):
    """Yields a path below `export_dir` that no other process uses; what is left there goes."""
    own_dir = os.path.join(export_dir, f"temp-{uuid.uuid4().hex}")
    try:
        yield own_dir
    finally:
        if tf.io.gfile.exists(own_dir):
            tf.io.gfile.rmtree(own_dir)
