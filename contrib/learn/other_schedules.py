"""The schedules of contrib's Experiment that the blog does not use."""

import inspect
import time

import tensorflow as tf
from absl import logging

from contrib.learn.training import running

WARN_SECONDS = 600


class OtherSchedules:
    """Methods of `Experiment`."""

    def local_run(self):
        """The schedule `train_and_evaluate` with `local_eval_frequency`."""
        self._min_eval_frequency = self._local_eval_frequency or 0
        return self.train_and_evaluate()

    def continuous_train_and_eval(self, continuous_eval_predicate_fn=None):
        """Trains `train_steps_per_iteration` steps and evaluates, in turns; exports at the end.

        Args:
          continuous_eval_predicate_fn: called with the last result, which is None at first; the
            schedule ends if the predicate returns False.

        Returns:
          `(result, exports)`.
        """
        check_predicate(continuous_eval_predicate_fn)
        steps = self._train_steps_per_iteration or int((self._train_steps or 10000) / 10)
        result, checkpoint_path, name = None, None, self._get_name("one_pass")
        with self._training():
            while (
                holds(continuous_eval_predicate_fn, result, checkpoint_path)
                and not self._is_reached(result)
                and not self._stop_hook.signal_number
            ):
                self._train(steps=steps)
                checkpoint_path = self._estimator.latest_checkpoint()
                result = self._evaluate(name, checkpoint_path)
        return result, self._export(result)

    def continuous_eval(
        self,
        delay_secs=None,
        throttle_delay_secs=None,
        evaluate_checkpoint_only_once=True,
        continuous_eval_predicate_fn=None,
        name="continuous",
    ):
        """Evaluates and exports each new checkpoint until the checkpoint of `train_steps`.

        Args:
          delay_secs: seconds before the first evaluation.
          throttle_delay_secs: seconds between the beginnings of two evaluations, at least.
          evaluate_checkpoint_only_once: whether to wait for a new checkpoint.
          continuous_eval_predicate_fn: as in `continuous_train_and_eval`; the result is {} if
            there was no new checkpoint.
          name: evaluations write to the directory `eval_<name>`.
        """

        def evaluate(checkpoint_path):
            result = self._evaluate(self._get_name(name), checkpoint_path)
            self._run_export_strategies(result, checkpoint_path)
            return result

        self._continuous_eval(
            evaluate,
            delay_secs,
            throttle_delay_secs,
            evaluate_checkpoint_only_once,
            continuous_eval_predicate_fn,
        )

    def continuous_eval_on_train_data(
        self,
        delay_secs=None,
        throttle_delay_secs=None,
        continuous_eval_predicate_fn=None,
        name="continuous_on_train_data",
    ):
        """The schedule `continuous_eval` on the training data; exports nothing."""

        def evaluate(checkpoint_path):
            return self._estimator.evaluate(
                input_fn=self._train_input_fn,
                steps=self._eval_steps,
                hooks=self._eval_hooks,
                checkpoint_path=checkpoint_path,
                name=name,
            )

        self._continuous_eval(
            evaluate, delay_secs, throttle_delay_secs, True, continuous_eval_predicate_fn
        )

    def run_std_server(self):
        """Serves parameters until the training of the cluster is done."""
        if not self._is_in_cluster():
            raise ValueError("Could not start server; set the TF_CONFIG environment variable.")
        with self._training():
            self._run_task()

    def test(self):
        """Trains one step, evaluates one batch, exports; returns the result of the evaluation."""
        with self._training():
            self._train(steps=1)
            checkpoint_path = self._estimator.latest_checkpoint()
            result = self._evaluate(self._get_name("one_pass"), checkpoint_path, steps=1)
        self._export(result)
        return result

    def _continuous_eval(self, evaluate, delay_secs, throttle_secs, only_once, predicate_fn):
        check_predicate(predicate_fn)
        wait(self._eval_delay_secs if delay_secs is None else delay_secs)
        if throttle_secs is None:
            throttle_secs = self._continuous_eval_throttle_secs
        model_dir, result, evaluated, last_warning = self._estimator.model_dir, None, None, -1e9
        with running(self._estimator):
            while holds(predicate_fn, result, evaluated) and not self._is_reached(result):
                start = time.time()
                checkpoint_path = tf.train.latest_checkpoint(model_dir)
                if checkpoint_path and not (only_once and checkpoint_path == evaluated):
                    result, evaluated = evaluate(checkpoint_path) or {}, checkpoint_path
                else:
                    result = {}  # the predicate sees that there is no new result
                    if start - last_warning >= WARN_SECONDS:
                        logging.warning("%s has no new checkpoint; waiting for one", model_dir)
                        last_warning = start
                remaining = start + throttle_secs - time.time()
                if remaining > 0 and not self._is_reached(result):
                    time.sleep(remaining)

    def _is_reached(self, result):
        """Whether the evaluated checkpoint is the checkpoint of `train_steps`."""
        step = result.get("global_step") if result else None
        return bool(step and self._train_steps and step >= self._train_steps)


def wait(seconds):
    if seconds:
        logging.info("waiting %s seconds", seconds)
        time.sleep(seconds)


def check_predicate(predicate_fn):
    if predicate_fn is not None and not callable(predicate_fn):
        raise ValueError("`continuous_eval_predicate_fn` must be a callable, or None.")


def holds(predicate_fn, result, checkpoint_path):
    """Calls `predicate_fn(result)`, or `predicate_fn(result, checkpoint_path)` if it takes both.

    Before the first evaluation both arguments are None. Without a predicate the answer is True.
    """
    if predicate_fn is None:
        return True
    if "checkpoint_path" in inspect.signature(predicate_fn).parameters:
        return predicate_fn(result, checkpoint_path=checkpoint_path)
    return predicate_fn(result)
