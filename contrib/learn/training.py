"""A training run that survives: a locked model directory, whole checkpoints, signals that save."""

import contextlib
import json

import tensorflow as tf
from absl import logging

from contrib.learn.checkpoints import CheckpointCheckHook, set_damaged_checkpoints_aside
from contrib.learn.directories import load_hparams, lock, save_hparams
from contrib.learn.errors import UserError
from contrib.learn.explained import explained
from contrib.learn.summary_writer_cache import get_file_writer
from contrib.learn.training_hooks import AlignedCheckpointSaverHook, CheckpointGuard
from contrib.training.hparam import HParams


@contextlib.contextmanager
def running(estimator, trains=False):
    """Logs the hyperparameters; makes a `UserError` of an error that the user must fix."""
    with explained(estimator.model_dir, trains):
        values = get_hparams(estimator)
        if values:
            logging.info("hyperparameters: %s", json.dumps(values))
        yield


@contextlib.contextmanager
def training(estimator, train_steps, stop_hook):
    """Prepares the model directory for the block, and handles signals.

    In a cluster the chief prepares the directory.

    Args:
      estimator: the Estimator.
      train_steps: the global step at which training ends, or None.
      stop_hook: the `StopHook` of the block.
    """
    model_dir = estimator.model_dir
    with contextlib.ExitStack() as stack:
        stack.enter_context(stop_hook.handlers())
        stack.enter_context(running(estimator, trains=True))
        if estimator.config.is_chief:
            stack.enter_context(lock(model_dir))
            set_damaged_checkpoints_aside(model_dir)
        yield
        if stop_hook.signal_number:
            logging.info(
                "stopped at step %s%s; to go on, run the same command again",
                f"{get_latest_step(estimator):,}",
                f" of {train_steps:,}" if train_steps else "",
            )


def train(estimator, input_fn, hooks, saving_listeners, stop_hook, steps=None, max_steps=None):
    """Trains by `steps`, or to the global step `max_steps`; saves as the RunConfig says."""
    step, model_dir = get_latest_step(estimator), estimator.model_dir
    if max_steps is not None and step and step >= max_steps:
        logging.info(
            "%s is at step %s already, train_steps is %s: nothing left to train",
            model_dir,
            f"{step:,}",
            f"{max_steps:,}",
        )
        return
    if step:
        logging.info("going on from step %s of %s", f"{step:,}", model_dir)
    hooks = get_hooks(estimator, hooks, saving_listeners, stop_hook)
    estimator.train(
        input_fn=get_input_fn(estimator, input_fn), hooks=hooks, steps=steps, max_steps=max_steps
    )


def get_hooks(estimator, hooks, saving_listeners, stop_hook):
    """Returns all hooks of a training session; in a cluster the chief saves."""
    config, model_dir = estimator.config, estimator.model_dir
    check_hook, saver_hooks = CheckpointCheckHook(estimator.latest_checkpoint()), []
    if config.is_chief and (config.save_checkpoints_steps or config.save_checkpoints_secs):
        get_file_writer(model_dir)  # before TensorFlow's hooks make a FileWriter
        guard = CheckpointGuard(model_dir, before_first_save=lambda: keep_hparams(estimator))
        saver_hooks = [
            AlignedCheckpointSaverHook(
                model_dir,
                config.save_checkpoints_secs,
                config.save_checkpoints_steps,
                [guard, *saving_listeners],
            )
        ]
    # In this order: the other hooks have seen the step when it is saved.
    return [check_hook, *hooks, *saver_hooks, stop_hook]


def get_input_fn(estimator, input_fn):
    """Returns the input function with a seed of the step: a resumed run sees new batches."""
    seed, step = estimator.config.tf_random_seed, get_latest_step(estimator)

    def seeded_input_fn():
        if seed is not None:
            tf.compat.v1.set_random_seed(seed + step)
        return input_fn()

    return seeded_input_fn


def get_latest_step(estimator):
    """Returns the global step of the latest checkpoint, 0 if there is none."""
    checkpoint = estimator.latest_checkpoint()
    reader = checkpoint and tf.train.load_checkpoint(checkpoint)
    # The checkpoint of another program may have no global step.
    has_step = checkpoint and reader.has_tensor("global_step")
    return int(reader.get_tensor("global_step")) if has_step else 0


def get_hparams(estimator):
    """Returns the params of the Estimator as `{name: value}`, {} if JSON cannot hold them."""
    params = estimator.params
    values = params.values() if isinstance(params, HParams) else params
    try:
        return json.loads(json.dumps(values)) if isinstance(values, dict) else {}
    except (TypeError, ValueError):
        return {}


def keep_hparams(estimator):
    """Writes the hyperparameters to the model directory; logs the changes since the last run."""
    values, before = get_hparams(estimator), {}
    if get_latest_step(estimator):
        with contextlib.suppress(UserError):  # a damaged file is written again
            before = load_hparams(estimator.model_dir)
    for name, value in values.items():
        if name in before and value != before[name]:
            logging.info("%s is %s from here on, it was %s", name, value, before[name])
    if values:
        save_hparams(estimator.model_dir, values)
