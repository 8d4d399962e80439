"""The checkpoints of a model directory: which are there, which are whole, which is the latest."""

import os
import re

import tensorflow as tf
from absl import logging

from contrib.learn.directories import list_names
from contrib.learn.errors import UserError, find_storage_problem, quote

DAMAGED_DIR = "damaged"


def set_damaged_checkpoints_aside(model_dir):
    """Makes the newest whole checkpoint the latest; moves newer, damaged checkpoints to `damaged/`.

    After a power cut the files of the last checkpoint, or the file `checkpoint`, can be cut short.
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
        # Names without a directory, so that the directory can be moved.
        lines += [f'all_model_checkpoint_paths: "{name}"' for name in names[::-1]]
        with tf.io.gfile.GFile(os.path.join(model_dir, "checkpoint"), "w") as file:
            file.write("\n".join(lines) + "\n")
    elif not checkpoints and tf.io.gfile.exists(os.path.join(model_dir, "checkpoint")):
        _move_to_damaged_dir(model_dir, ["checkpoint"])


def _find_checkpoints(model_dir):
    """Returns the checkpoint that the file `checkpoint` calls latest, or None, and a list of all.

    The list begins with the latest checkpoint. The other checkpoints follow, newest first.
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
    """Returns `{damaged checkpoint: problem}` before the first whole checkpoint, and the rest."""
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


def check_variables(checkpoint):
    """Checks that a checkpoint is of the model in the default graph; TensorFlow compares no shapes.

    Raises:
      UserError: a variable is missing or has another shape.
    """
    found = tf.train.load_checkpoint(checkpoint).get_variable_to_shape_map()
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


class CheckpointCheckHook(tf.compat.v1.train.SessionRunHook):
    """Calls `check_variables` when the graph is built, before a session restores the checkpoint.

    A model that has made a Saver of its own is not checked, because the names in its checkpoints
    may be others.
    """

    def __init__(self, checkpoint):
        """Without a checkpoint, None, nothing is checked."""
        self._checkpoint = checkpoint

    def begin(self):
        operations = tf.compat.v1.get_default_graph().get_operations()
        if self._checkpoint and not any(operation.type == "RestoreV2" for operation in operations):
            check_variables(self._checkpoint)
