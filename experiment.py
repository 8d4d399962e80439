"""The Experiment of the blog, which TensorFlow no longer has."""

import tensorflow as tf
from absl import logging

from hooks import EvaluationListener
from tf_estimator import CheckpointSaverHook

SCHEDULES = ("train_and_evaluate", "train", "evaluate")


class Experiment:
    """Trains and evaluates an Estimator (blog: "Experiment"); its methods are the schedules.

    Like `tf.contrib.learn.Experiment` it evaluates every `min_eval_frequency` steps and once more
    at the end, where `tf.estimator.train_and_evaluate` skips evaluations by the clock.

    Args:
      estimator: the Estimator.
      train_input_fn, eval_input_fn: make `(features, labels)`.
      train_hooks, eval_hooks: lists of `SessionRunHook`.
      train_steps: the global step at which training is done.
      eval_steps: batches of an evaluation; None for all.
      min_eval_frequency: steps from one checkpoint, and its evaluation, to the next.
    """

    def __init__(
        self,
        estimator,
        train_input_fn,
        eval_input_fn,
        train_hooks,
        eval_hooks,
        train_steps,
        eval_steps,
        min_eval_frequency,
    ):
        self.estimator = estimator
        self.train_input_fn = train_input_fn
        self.eval_input_fn = eval_input_fn
        self.train_hooks = train_hooks
        self.eval_hooks = eval_hooks
        self.train_steps = train_steps
        self.eval_steps = eval_steps
        self.min_eval_frequency = min_eval_frequency
        self.results = {}  # global step: result of its evaluation

    def train(self, saving_listeners=()):
        """Trains from the last checkpoint, if there is one, up to `train_steps`."""
        step = self._latest_step()
        if step >= self.train_steps:
            logging.info(
                "%s is at step %s already, train_steps is %s: nothing left to train",
                self.estimator.model_dir,
                f"{step:,}",
                f"{self.train_steps:,}",
            )
            return
        if step:
            logging.info("going on from step %s of %s", f"{step:,}", self.estimator.model_dir)
        saver_hook = CheckpointSaverHook(
            self.estimator.model_dir, self.min_eval_frequency, saving_listeners
        )
        self.estimator.train(
            self.train_input_fn,
            hooks=[*self.train_hooks, saver_hook],  # last: the others have seen the step by then
            max_steps=self.train_steps,
        )

    def evaluate(self):
        """Evaluates the last checkpoint; returns {"Accuracy", "loss", "global_step"}."""
        if not self.estimator.latest_checkpoint():
            raise FileNotFoundError(
                f"{self.estimator.model_dir}: no checkpoint to evaluate; train first"
            )
        result = self.estimator.evaluate(
            self.eval_input_fn, steps=self.eval_steps, hooks=self.eval_hooks
        )
        self.results[int(result["global_step"])] = result
        logging.info(
            "evaluation at step %s: accuracy %.4f, loss %.4f",
            f"{result['global_step']:,}",
            result["Accuracy"],
            result["loss"],
        )
        return result

    def train_and_evaluate(self):
        """Trains and evaluates in turn, evaluates at the end, and returns its result."""
        self.train(saving_listeners=[EvaluationListener(self.evaluate)])
        return self.results.get(self._latest_step()) or self.evaluate()

    def _latest_step(self):
        checkpoint = self.estimator.latest_checkpoint()
        return int(tf.train.load_variable(checkpoint, "global_step")) if checkpoint else 0
