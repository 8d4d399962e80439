"""Exports an Estimator as a SavedModel to a directory that other processes may use, too."""

import contextlib
import os
import uuid

import tensorflow as tf
from absl import logging

from contrib.learn.checkpoints import check_variables
from contrib.learn.directories import make_directory, told_by_flag
from tf_estimator import ModeKeys


def check_export_dir(export_dir):
    """Makes `export_dir` and checks, before training, that it can be written.

    Raises:
      UserError: `export_dir` can't be made or written.
    """
    make_directory("export_dir", export_dir)
    with told_by_flag("export_dir", export_dir), own_export_dir(export_dir) as own_dir:
        tf.io.gfile.makedirs(own_dir)


@contextlib.contextmanager
def own_export_dir(export_dir):
    """Yields a path below `export_dir` that no other process uses; removes its files at the end."""
    own_dir = os.path.join(export_dir, f"temp-{uuid.uuid4().hex}")
    try:
        yield own_dir
    finally:
        if tf.io.gfile.exists(own_dir):
            tf.io.gfile.rmtree(own_dir)


def export_saved_model(estimator, export_dir, serving_input_receiver_fn, checkpoint_path):
    """Writes a checkpoint as a SavedModel below `export_dir`; returns the path of the export."""
    with tf.Graph().as_default():
        tf.compat.v1.set_random_seed(estimator.config.tf_random_seed)
        tf.compat.v1.train.create_global_step()
        features = serving_input_receiver_fn().features
        spec = estimator.model_fn(features, None, ModeKeys.PREDICT, estimator.config)
        if not spec.scaffold.saver:  # a Saver of the model may have other names
            check_variables(checkpoint_path)
    # TensorFlow names an export, and its unfinished files, by the second. The exports of two
    # processes would mix.
    with own_export_dir(export_dir) as own_dir:
        path = estimator.export_saved_model(
            own_dir, serving_input_receiver_fn, checkpoint_path=checkpoint_path
        )
        version = int(os.path.basename(path))
        while tf.io.gfile.exists(os.path.join(export_dir, str(version))):
            version += 1
        target = os.path.join(export_dir, str(version))
        tf.io.gfile.rename(path, target)
    logging.info("exported to %s", target)
    return target
