"""The Experiment of the blog, which TensorFlow no longer has."""

import functools
import time

import tensorflow as tf
from absl import logging

from cluster import run_task
from evaluation import Evaluation
from hooks import CheckpointGuard, EvaluationListener, StopHook
from model_dir import SetupError, check_free_space
from tf_estimator import CheckpointSaverHook

SCHEDULES = ("train_and_evaluate", "train", "evaluate", "export")


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
      serving_input_receiver_fn: makes the inputs of an exported SavedModel.
      export_dir: where training exports a SavedModel when it ends; None for none.
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
        serving_input_receiver_fn=None,
        export_dir=None,
    ):
        self.estimator = estimator
        self.train_input_fn = train_input_fn
        self.eval_input_fn = eval_input_fn
        self.train_hooks = train_hooks
        self.eval_hooks = eval_hooks
        self.train_steps = train_steps
        self.eval_steps = eval_steps
        self.min_eval_frequency = min_eval_frequency
        self.serving_input_receiver_fn = serving_input_receiver_fn
        self.export_dir = export_dir
        self.stop_hook = StopHook()
        self.results = {}  # global step: result of its evaluation

    def train(self, saving_listeners=()):
        """Trains from the last checkpoint, if there is one, up to `train_steps`.

        It ends before that if the signals of `stop_hook` are handled and one comes.
        """
        step = self.latest_step()
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
        self.estimator.train(
            self.train_input_fn,
            hooks=self.get_train_hooks(saving_listeners),
            max_steps=self.train_steps,
        )

    def get_train_hooks(self, saving_listeners=()):
        """All hooks of a training session; in a cluster only the chief saves checkpoints."""
        saver_hook = CheckpointSaverHook(
            self.estimator.model_dir,
            self.min_eval_frequency,
            [CheckpointGuard(self.estimator.model_dir), *saving_listeners],
        )
        saver_hooks = [saver_hook] if self.estimator.config.is_chief else []
        # In this order: the others have seen the step when it is saved.
        return [*self.train_hooks, *saver_hooks, self.stop_hook]

    def evaluate(self, checkpoint_path=None):
        """Evaluates a checkpoint, or the last; returns {"Accuracy", "loss", "global_step"}."""
        self._check_is_trained()
        start_time = time.time()
        result = self.evaluation.evaluate(checkpoint_path or self.estimator.latest_checkpoint())
        check_free_space(self.estimator.eval_dir())
        self.results[int(result["global_step"])] = result
        logging.info(
            "evaluation at step %s: accuracy %.4f, loss %.4f, in %.2f s",
            f"{result['global_step']:,}",
            result["Accuracy"],
            result["loss"],
            time.time() - start_time,
        )
        return result

    @functools.cached_property
    def evaluation(self):
        return Evaluation(self.estimator, self.eval_input_fn, self.eval_hooks, self.eval_steps)

    def train_and_evaluate(self):
        """Trains and evaluates in turn, evaluates at the end, and returns its result.

        If it was stopped, the result of the last evaluation, or None, is returned instead. In a
        cluster each process has its part of this; see `cluster.run_task`.
        """
        if self.estimator.config.cluster_spec or self.estimator.config.task_type == "evaluator":
            return run_task(self)
        self.train(saving_listeners=[EvaluationListener(self.evaluate, self.stop_hook)])
        result = self.results.get(self.latest_step())
        return result if result or self.stop_hook.signal_number else self.evaluate()

    def export(self):
        """Writes the last checkpoint as a SavedModel below `export_dir`; returns its path."""
        self._check_is_trained()
        path = self.estimator.export_saved_model(self.export_dir, self.serving_input_receiver_fn)
        logging.info("exported to %s", path.decode())
        return path

    def _check_is_trained(self):
        if not self.estimator.latest_checkpoint():
            raise SetupError(f"{self.estimator.model_dir} has no checkpoint yet; train first")

    def latest_step(self):
        """The global step of the last checkpoint, 0 if there is none."""
        checkpoint = self.estimator.latest_checkpoint()
        return int(tf.train.load_variable(checkpoint, "global_step")) if checkpoint else 0
