"""The Experiment of the blog, which TensorFlow no longer has."""

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from absl import logging

from contrib.learn.cluster import run_task
from contrib.learn.errors import UserError, explained
from contrib.learn.evaluation import Evaluation
from hooks import CheckpointGuard, EvaluationListener, StopHook
from contrib.learn.checkpoints import (
    check_checkpoint,
    check_export_dir,
    check_free_space,
    find_whole_checkpoint,
    load_hparams,
    lock,
    own_export_dir,
    save_hparams,
    set_damaged_checkpoints_aside,
)
from tf_estimator import CheckpointSaverHook, EvalSpec, ModeKeys, TrainSpec, get_file_writer


class Experiment:
    """Trains and evaluates an Estimator (blog: "Experiment"); its public methods are the schedules.

    Like `tf.contrib.learn.Experiment` it evaluates every `min_eval_frequency` steps and once more
    at the end, where `tf.estimator.train_and_evaluate` skips evaluations by the clock.

    Each schedule raises `UserError` for what the user has to see to, one line. One that trains has
    the model directory to itself, sets damaged checkpoints aside, keeps the hyperparameters there,
    and exports at the end if there is an `export_dir`. SIGINT (Ctrl-C), SIGTERM and SIGHUP stop
    it after the current step; once that is saved, the signal is passed on.

    Args:
      estimator: the Estimator; its params are `HParams`. When it saves, and how many checkpoints a
        cluster keeps, is decided here, not by its `RunConfig`.
      train_input_fn, eval_input_fn: take nothing, make `(features, labels)`, tensors, or a Dataset
        of them; that of the evaluation has no queues.
      train_hooks, eval_hooks: lists of `SessionRunHook`; see `Evaluation` for the latter.
      train_steps: the global step at which training is done.
      eval_steps: batches of an evaluation; None for all.
      min_eval_frequency: steps from one checkpoint, and its evaluation, to the next.
      eval_name: evaluations go to the directory `eval_<eval_name>`; None for `eval`.
      serving_input_receiver_fn: makes the inputs of an exported SavedModel; None if none is.
      export_dir: where a SavedModel is exported to; None for none.
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
        eval_name=None,
        serving_input_receiver_fn=None,
        export_dir=None,
    ):
        if export_dir and not serving_input_receiver_fn:
            raise ValueError("Experiment: an export_dir needs a serving_input_receiver_fn")
        self.estimator = estimator
        self.train_input_fn = train_input_fn
        self.eval_input_fn = eval_input_fn
        self.train_hooks = train_hooks
        self.eval_hooks = eval_hooks
        self.train_steps = train_steps
        self.eval_steps = eval_steps
        self.min_eval_frequency = min_eval_frequency
        self.eval_name = eval_name
        self.serving_input_receiver_fn = serving_input_receiver_fn
        self.export_dir = export_dir
        self.stop_hook = StopHook()
        self._evaluation = None
        self.results = {}  # global step: result of its evaluation

    def train_and_evaluate(self):
        """Trains, evaluates each checkpoint beside it, the last one too, and returns its result.

        In a cluster each process has its part of this; see `cluster.run_task`.
        """
        config = self.estimator.config
        with self._training():
            if config.cluster_spec or config.task_type == "evaluator":
                result = self._run_task()
            else:
                with ThreadPoolExecutor(max_workers=1) as executor:

                    def start_evaluation():
                        return executor.submit(self._evaluate, self.estimator.latest_checkpoint())

                    self._train([EvaluationListener(start_evaluation, self.stop_hook)])
                result = self.results.get(self.latest_step())
                if not result and not self.stop_hook.signal_number:
                    result = self._evaluate()
        self._export_at_the_end()
        return result

    def train(self):
        """Trains from the last checkpoint, if there is one; returns {"global_step"}."""
        with self._training():
            self._train()
        self._export_at_the_end()
        return {"global_step": self.latest_step()}

    def evaluate(self):
        """Evaluates the last checkpoint; returns {"Accuracy", "loss", "global_step"}."""
        with self._explained():
            return self._evaluate(self._find_checkpoint(self.eval_input_fn, ModeKeys.EVAL))

    def export(self):
        """Writes the last checkpoint as a SavedModel below `export_dir`; returns its path."""

        def input_fn():
            return self.serving_input_receiver_fn().features, None

        if not self.export_dir:
            raise ValueError("Experiment: export needs an export_dir")
        with self._explained():
            check_export_dir(self.export_dir)
            return self._export(self._find_checkpoint(input_fn, ModeKeys.PREDICT))

    @contextlib.contextmanager
    def _explained(self):
        """What every schedule has."""
        self._evaluation = None  # the hooks may have served other graphs since the last schedule
        with explained(self.estimator.model_dir):
            logging.info("hyperparameters: %s", self.estimator.params.to_json())
            yield

    @contextlib.contextmanager
    def _training(self):
        """What every schedule that trains has; in a cluster the chief alone sees to `model_dir`."""
        self.results = {}  # those before may be of checkpoints that were removed since
        with self.stop_hook.handlers(), self._explained():
            is_chief = self.estimator.config.is_chief
            with self._prepared_model_dir() if is_chief else contextlib.nullcontext():
                yield
            if self.stop_hook.signal_number:
                logging.info(
                    "stopped at step %s of %s; to go on, run the same command again",
                    f"{self.latest_step():,}",
                    f"{self.train_steps:,}",
                )

    @contextlib.contextmanager
    def _prepared_model_dir(self):
        """Has the model directory to itself: whole, of this model, with its hyperparameters."""
        estimator = self.estimator
        with lock(estimator.model_dir):
            set_damaged_checkpoints_aside(estimator.model_dir)
            checkpoint = estimator.latest_checkpoint()
            if checkpoint:
                check_checkpoint(checkpoint, estimator, self.train_input_fn, ModeKeys.TRAIN)
            if self.export_dir:
                check_export_dir(self.export_dir)
            step = self.latest_step()
            if step < self.train_steps:
                get_file_writer(estimator.model_dir)  # before TensorFlow's hooks ask for it
                self._keep_hparams(is_resumed=step > 0)
            yield

    def _keep_hparams(self, is_resumed):
        params, model_dir = self.estimator.params, self.estimator.model_dir
        with contextlib.suppress(UserError):  # a damaged file is written anew
            before = load_hparams(model_dir).values() if is_resumed else params.values()
            for name, value in params.values().items():
                if value != before[name]:
                    logging.info("%s is %s from here on, it was %s", name, value, before[name])
        save_hparams(model_dir, params)

    def _train(self, saving_listeners=()):
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
            self._get_train_input_fn(),
            hooks=self.get_train_hooks(saving_listeners),
            max_steps=self.train_steps,
        )

    def _run_task(self):
        return run_task(
            self.estimator,
            TrainSpec(self._get_train_input_fn(), self.train_steps, self.get_train_hooks()),
            EvalSpec(self.eval_input_fn, name=self.eval_name),
            self._evaluate,
            self.stop_hook,
        )

    def _get_train_input_fn(self):
        """The training data, in another order than from the start if training goes on."""
        seed, step = self.estimator.config.tf_random_seed, self.latest_step()

        def train_input_fn():
            if seed is not None:
                tf.compat.v1.set_random_seed(seed + step)
            return self.train_input_fn()

        return train_input_fn

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

    def _evaluate(self, checkpoint_path=None):
        start_time = time.monotonic()
        if not self._evaluation:
            self._evaluation = Evaluation(
                self.estimator, self.eval_input_fn, self.eval_hooks, self.eval_steps, self.eval_name
            )
        result = self._evaluation.evaluate(checkpoint_path or self.estimator.latest_checkpoint())
        check_free_space(self.estimator.eval_dir(self.eval_name))
        self.results[int(result["global_step"])] = result
        logging.info(
            "evaluation at step %s: %s, in %.2f s",
            f"{result['global_step']:,}",
            ", ".join(
                f"{name.lower()} {value:.4f}"
                for name, value in result.items()
                if name != "global_step" and isinstance(value, np.number)
            ),
            time.monotonic() - start_time,
        )
        return result

    def _find_checkpoint(self, input_fn, mode):
        checkpoint = find_whole_checkpoint(self.estimator.model_dir)
        check_checkpoint(checkpoint, self.estimator, input_fn, mode)
        return checkpoint

    def _export_at_the_end(self):
        stopped = self.stop_hook.signal_number
        if self.export_dir and self.estimator.config.is_chief and not stopped:
            with explained(self.export_dir):
                self._export(self.estimator.latest_checkpoint())

    def _export(self, checkpoint_path):
        # TensorFlow names an export by the second, and its unfinished files so, too: exports of two
        # processes would get into each other's.
        with own_export_dir(self.export_dir) as own_dir:
            path = self.estimator.export_saved_model(
                own_dir, self.serving_input_receiver_fn, checkpoint_path=checkpoint_path
            )
            version = int(os.path.basename(path))
            while tf.io.gfile.exists(os.path.join(self.export_dir, str(version))):
                version += 1
            target = os.path.join(self.export_dir, str(version))
            tf.io.gfile.rename(path, target)
        logging.info("exported to %s", target)
        return target

    def latest_step(self):
        """The global step of the last checkpoint, 0 if there is none."""
        checkpoint = self.estimator.latest_checkpoint()
        return int(tf.train.load_variable(checkpoint, "global_step")) if checkpoint else 0
