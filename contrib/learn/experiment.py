"""`tf.contrib.learn.Experiment`: trains and evaluates an Estimator."""

import concurrent.futures
import contextlib
import functools
import math
import time

import tensorflow as tf

from contrib.learn import cluster
from contrib.learn.checkpoints import find_whole_checkpoint
from contrib.learn.directories import check_free_space
from contrib.learn.explained import explained
from contrib.learn.evaluation import log_result
from contrib.learn.export_strategy import check_export_strategies, run_export_strategies
from contrib.learn.other_schedules import OtherSchedules, wait
from contrib.learn.saved_models import check_export_dir, export_saved_model
from contrib.learn.training import (
    get_hooks,
    get_input_fn,
    get_latest_step,
    running,
    train,
    training,
)
from contrib.learn.training_hooks import EvaluationListener, StopHook
from tf_estimator import EvalSpec, TrainSpec


class Experiment(OtherSchedules):
    """Knows how to train and evaluate an Estimator (blog: "Experiment"); a schedule is a method.

    Arguments and methods are those of TensorFlow 1.3 to 1.15. The `RunConfig` says when the
    Estimator saves. A new checkpoint is evaluated if `min_eval_frequency` steps have passed since
    the last evaluation. In a cluster each process does the part of its task.

    Each schedule raises `UserError`, one line, for a problem that the user must fix. A schedule
    that trains locks the model directory, sets damaged checkpoints aside and keeps the
    hyperparameters there. On SIGINT (Ctrl-C), SIGTERM or SIGHUP it saves a checkpoint after the
    current step, then the signal goes to its former handler.
    """

    def __init__(
        self,
        estimator,
        train_input_fn,
        eval_input_fn,
        eval_metrics=None,
        train_steps=None,
        eval_steps=100,
        train_monitors=None,
        eval_hooks=None,
        local_eval_frequency=None,
        eval_delay_secs=120,
        continuous_eval_throttle_secs=60,
        min_eval_frequency=None,
        delay_workers_by_global_step=False,
        export_strategies=None,
        train_steps_per_iteration=None,
        checkpoint_and_export=False,
        saving_listeners=None,
        check_interval_secs=5,
        *,
        evaluation=None,
        eval_name=None,
        export_dir=None,
        serving_input_receiver_fn=None,
    ):
        """Takes the arguments of TensorFlow 1.3 to 1.15, and after the `*` four more.

        Args:
          estimator: `tf.estimator.Estimator`.
          train_input_fn, eval_input_fn: take nothing; return `(features, labels)` or a Dataset.
          eval_metrics: None; the metrics of an Estimator are in its `model_fn`.
          train_steps: the global step at which training ends; None trains without end.
          eval_steps: batches of an evaluation; None evaluates until the input ends.
          train_monitors, eval_hooks: lists of `SessionRunHook`.
          local_eval_frequency: `min_eval_frequency` of the schedule `local_run`.
          eval_delay_secs: seconds before `evaluate` and `continuous_eval`.
          continuous_eval_throttle_secs: seconds between two evaluations of `continuous_eval`.
          min_eval_frequency: steps between two evaluations, at least; None is 1; 0 evaluates at
            the end only.
          delay_workers_by_global_step: whether a worker waits for a global step before it trains.
          export_strategies: an `ExportStrategy` or a list of them, for the last checkpoint.
          train_steps_per_iteration: steps between evaluations of `continuous_train_and_eval`.
          checkpoint_and_export: whether each checkpoint is evaluated and exported.
          saving_listeners: a list of `CheckpointSaverListener`.
          check_interval_secs: has no effect, because an evaluation follows its checkpoint at once.
          evaluation: `Evaluation` keeps one graph and one session for all evaluations and runs
            them in a background thread; None calls `estimator.evaluate`, and training waits.
          eval_name: evaluations write to `eval_<eval_name>`, or to `eval` for "". None takes
            contrib's names: `eval` while training, `eval_one_pass`, `eval_continuous`.
          export_dir: where to export a SavedModel after training; None exports nothing.
          serving_input_receiver_fn: makes the inputs of this SavedModel.

        Raises:
          ValueError: an argument has the wrong type.
        """
        if eval_metrics is not None:
            raise ValueError("`eval_metrics` must be `None` with `tf.estimator.Estimator`")
        if not isinstance(train_steps_per_iteration, (int, type(None))):
            raise ValueError("`train_steps_per_iteration` must be an integer.")
        if export_dir and not serving_input_receiver_fn:
            raise ValueError("Experiment: an export_dir needs a serving_input_receiver_fn")
        self._estimator = estimator
        self._train_input_fn, self._eval_input_fn = train_input_fn, eval_input_fn
        self._train_steps, self._eval_steps = train_steps, eval_steps
        self._train_monitors, self._eval_hooks = list(train_monitors or []), list(eval_hooks or [])
        self._local_eval_frequency = local_eval_frequency
        self._eval_delay_secs = eval_delay_secs
        self._continuous_eval_throttle_secs = continuous_eval_throttle_secs
        self._min_eval_frequency = 1 if min_eval_frequency is None else min_eval_frequency
        self._delay_workers_by_global_step = delay_workers_by_global_step
        self._train_steps_per_iteration = train_steps_per_iteration
        self._checkpoint_and_export = checkpoint_and_export
        self._saving_listeners = list(saving_listeners or [])
        self._evaluation, self._eval_name = evaluation, eval_name
        self._export_dir, self._serving_input_receiver_fn = export_dir, serving_input_receiver_fn
        self.reset_export_strategies(export_strategies)
        self._stop_hook = StopHook()
        self._evaluations = {}  # name: Evaluation
        self.results = {}  # global step: result of its evaluation while training

    @property
    def estimator(self):
        return self._estimator

    @property
    def eval_metrics(self):
        return None

    @property
    def train_steps(self):
        return self._train_steps

    @property
    def eval_steps(self):
        return self._eval_steps

    def extend_train_hooks(self, additional_hooks):
        """Adds hooks to those of training."""
        self._train_monitors.extend(additional_hooks)

    def reset_export_strategies(self, new_export_strategies=None):
        """Sets the export strategies; returns the former ones, a tuple."""
        former = getattr(self, "_export_strategies", ())
        self._export_strategies = check_export_strategies(new_export_strategies)
        return former

    def train(self, delay_secs=None):
        """Trains to `train_steps`, after `delay_secs`; returns the Estimator."""
        with self._training():
            wait(delay_secs)
            if self._is_in_cluster():
                self._run_task()
            else:
                self._train()
        self._export_to_dir()
        return self._estimator

    def evaluate(self, delay_secs=None, name=None):
        """Evaluates the latest whole checkpoint after `delay_secs`; returns `{name: value}`."""
        wait(self._eval_delay_secs if delay_secs is None else delay_secs)
        self._evaluations = {}  # the hooks may have served other graphs since the last schedule
        with running(self._estimator):
            checkpoint_path = find_whole_checkpoint(self._estimator.model_dir)
            return self._evaluate(self._get_name(name or "one_pass"), checkpoint_path)

    def train_and_evaluate(self):
        """Trains, evaluates new checkpoints and the last one, exports.

        Returns:
          `(result, exports)`: the result of the last evaluation, and the list of the export paths.
          In a cluster the evaluator alone has a result.
        """
        name = self._get_name(None)
        with self._training():
            if self._is_in_cluster():
                result = self._run_task()
            else:
                self._train_and_evaluate(name)
                checkpoint_path = self._estimator.latest_checkpoint()
                result = self.results.get(get_latest_step(self._estimator))
                if not result and not self._stop_hook.signal_number:
                    result = self._evaluate(name, checkpoint_path)
        return result, self._export(result)

    def _train_and_evaluate(self, name):
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as executor:

            def evaluate():
                checkpoint_path = self._estimator.latest_checkpoint()
                if self._evaluation:
                    return executor.submit(self._evaluate, name, checkpoint_path)
                result = self._evaluate(name, checkpoint_path)
                if self._checkpoint_and_export:
                    self._run_export_strategies(result, checkpoint_path)
                return None

            every_n_steps = 1 if self._checkpoint_and_export else self._min_eval_frequency
            listener = EvaluationListener(evaluate, every_n_steps, self._stop_hook)
            self._train(listeners=[listener] if every_n_steps else [])

    def export(self):
        """Writes the latest whole checkpoint as a SavedModel to `export_dir`; returns its path."""
        if not self._export_dir:
            raise ValueError("Experiment: export needs an export_dir")
        with running(self._estimator):
            check_export_dir(self._export_dir)
            checkpoint_path = find_whole_checkpoint(self._estimator.model_dir)
            return self._export_saved_model(checkpoint_path)

    @contextlib.contextmanager
    def _training(self):
        """Prepares a schedule that trains."""
        self.results = {}  # the checkpoints of earlier results may be gone
        self._evaluations = {}
        with training(self._estimator, self._train_steps, self._stop_hook):
            if self._export_dir and self._estimator.config.is_chief:
                check_export_dir(self._export_dir)
            yield

    def _train(self, steps=None, listeners=()):
        train(
            self._estimator,
            self._train_input_fn,
            self._train_monitors,
            [*self._saving_listeners, *listeners],
            self._stop_hook,
            steps,
            None if steps else self._train_steps,
        )

    def _is_in_cluster(self):
        config = self._estimator.config
        return bool(config.cluster_spec) or config.task_type == "evaluator"

    def _run_task(self):
        estimator, stop_hook = self._estimator, self._stop_hook
        hooks = get_hooks(estimator, self._train_monitors, self._saving_listeners, stop_hook)
        if self._delay_workers_by_global_step and not estimator.config.is_chief:
            step = int(8000 * math.log(estimator.config.task_id + 2))
            hooks.append(tf.compat.v1.train.GlobalStepWaiterHook(step))
        input_fn = get_input_fn(estimator, self._train_input_fn)
        name = self._get_name(None)
        return cluster.run_task(
            estimator,
            TrainSpec(input_fn, self._train_steps, hooks),
            EvalSpec(self._eval_input_fn, name=name),
            functools.partial(self._evaluate, name),
            stop_hook,
        )

    def _get_name(self, default):
        return default if self._eval_name is None else self._eval_name

    def _evaluate(self, name, checkpoint_path, steps=None):
        """Evaluates a checkpoint; returns `{name: value}`."""
        start_time, estimator = time.monotonic(), self._estimator
        arguments = {
            "input_fn": self._eval_input_fn,
            "steps": steps or self._eval_steps,
            "hooks": self._eval_hooks,
            "name": name,
        }
        if self._evaluation:
            if name not in self._evaluations:
                self._evaluations[name] = self._evaluation(estimator, **arguments)
            result = self._evaluations[name].evaluate(checkpoint_path)
        else:
            result = estimator.evaluate(checkpoint_path=checkpoint_path, **arguments) or {}
        check_free_space(estimator.eval_dir(name))
        self.results[int(result.get("global_step", 0))] = result
        log_result(result, time.monotonic() - start_time)
        return result

    def _export(self, result):
        """Exports after training, unless training was stopped; returns a list of paths."""
        self._export_to_dir()
        if self._stop_hook.signal_number or not self._estimator.config.is_chief:
            return []
        return self._run_export_strategies(result, self._estimator.latest_checkpoint())

    def _run_export_strategies(self, result, checkpoint_path):
        return run_export_strategies(
            self._export_strategies, self._estimator, checkpoint_path, result
        )

    def _export_to_dir(self):
        stopped = self._stop_hook.signal_number
        if self._export_dir and self._estimator.config.is_chief and not stopped:
            with explained(self._export_dir):
                self._export_saved_model(self._estimator.latest_checkpoint())

    def _export_saved_model(self, checkpoint_path):
        return export_saved_model(
            self._estimator, self._export_dir, self._serving_input_receiver_fn, checkpoint_path
        )
