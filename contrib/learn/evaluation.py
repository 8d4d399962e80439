"""Evaluates the checkpoints of an Estimator, one after the other, in one graph and one session."""

import contextlib
import os

import numpy as np
import tensorflow as tf
from absl import logging
from google.protobuf.message import DecodeError

from contrib.learn.checkpoints import check_variables
from contrib.learn.directories import list_names
from contrib.learn.summary_writer_cache import get_file_writer


class Evaluation:
    """Evaluates like `estimator.evaluate`, with the same results and events, but faster.

    `estimator.evaluate` builds a graph and a session for each checkpoint, which takes half the time
    of an evaluation. Here both are kept. `begin` of a hook is called once. For each checkpoint,
    `after_create_session` is called when the variables are restored, `before_run` and `after_run`
    around each batch, and `end` after the last batch, unless a batch failed. A hook has to start
    the input again for each checkpoint; `IteratorInitializerHook` does. Left out are the `options`
    of a hook's `SessionRunArgs` and the text `checkpoint_path` in the events.
    """

    def __init__(self, estimator, input_fn, steps=None, hooks=None, name=None):
        """Takes the arguments of `estimator.evaluate`.

        Raises:
          ValueError: `input_fn` has queues, which can be read once only.
        """
        self._steps = steps
        self._output_dir = estimator.eval_dir(name)
        with tf.Graph().as_default() as graph:
            # Private: the public `evaluate` builds this graph again for each checkpoint. The path
            # is given because a warm start is for an Estimator without a checkpoint.
            built = estimator._evaluate_build_graph(
                input_fn, hooks or [], checkpoint_path="restored later"
            )
            self._scaffold, self._update_op, self._values, self._hooks = built
            self._has_own_saver = bool(self._scaffold.saver)  # before `finalize` makes a Saver
            if tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.QUEUE_RUNNERS):
                raise ValueError(
                    "an evaluation's input_fn has queues, such as the queues of numpy_input_fn and "
                    "tf.train.batch; make a tf.data.Dataset instead"
                )
            for hook in self._hooks:
                hook.begin()
            self._scaffold.finalize()
            get_file_writer(self._output_dir).add_graph(graph)
        self._session = tf.compat.v1.Session(graph=graph, config=estimator.config.session_config)

    def evaluate(self, checkpoint_path):
        """Returns {name: value} of the metrics, the loss (mean of the batches), the global step.

        Raises:
          UserError: the checkpoint is of another model.
          ValueError: there is no batch.
        """
        session = self._session
        with session.graph.as_default():
            if not self._has_own_saver:
                check_variables(checkpoint_path)
            self._scaffold.saver.restore(session, checkpoint_path)
            session.run(self._scaffold.local_init_op)
            for hook in self._hooks:
                hook.after_create_session(session, None)
            n_batches, stops = 0, False
            with contextlib.suppress(tf.errors.OutOfRangeError):
                while n_batches != self._steps and not stops:
                    stops = self._run_batch()
                    n_batches += 1
            if not n_batches:
                raise ValueError(
                    "an evaluation without a batch: a hook has to initialize the iterator of the "
                    "input_fn for each evaluation, as IteratorInitializerHook does"
                )
            result = session.run(self._values)
            for hook in self._hooks:
                hook.end(session)
            self._write(result)
        return result

    def _write(self, result):
        summary = tf.compat.v1.Summary()
        for name, value in result.items():
            if isinstance(value, bytes):
                with contextlib.suppress(DecodeError):  # some other text
                    for index, kept in enumerate(tf.compat.v1.Summary.FromString(value).value):
                        kept.tag = f"{name}/{index}"
                        summary.value.append(kept)
            elif np.ndim(value):
                summary.value.add(tag=name, tensor=tf.make_tensor_proto(value))
            elif name != "global_step":
                summary.value.add(tag=name, simple_value=value)
        writer = get_file_writer(self._output_dir)
        writer.add_summary(summary, result["global_step"])
        writer.flush()

    def _run_batch(self):
        """Returns whether a hook asks to stop."""
        train = tf.compat.v1.train
        context = train.SessionRunContext(train.SessionRunArgs(self._update_op), self._session)
        fetches, feed_dict = {}, {}
        for hook in self._hooks:
            args = hook.before_run(context) or train.SessionRunArgs(None)
            if args.fetches is not None:
                fetches[hook] = args.fetches
            feed_dict.update(args.feed_dict or {})
        fetched, _ = self._session.run([fetches, self._update_op], feed_dict)
        for hook in self._hooks:
            hook.after_run(context, train.SessionRunValues(fetched.get(hook), None, None))
        return context.stop_requested


def find_evaluated_steps(output_dir):
    """Returns the global steps whose evaluations are in the events of `output_dir`, a set."""
    steps = set()
    for name in list_names(output_dir, "events.out.tfevents."):
        # The file of an evaluation that was killed may end in the middle of an event.
        with contextlib.suppress(tf.errors.DataLossError):
            for event in tf.compat.v1.train.summary_iterator(os.path.join(output_dir, name)):
                if any(value.tag == "loss" for value in event.summary.value):
                    steps.add(event.step)
    return steps


def log_result(result, seconds):
    """Logs a result, `{name: value}`, in one line; arrays and texts are left out."""
    logging.info(
        "evaluation at step %s: %s, in %.2f s",
        f"{int(result.get('global_step', 0)):,}",
        ", ".join(
            f"{name.lower()} {value:.4f}"
            for name, value in result.items()
            if name != "global_step" and isinstance(value, np.number)
        ),
        seconds,
    )
