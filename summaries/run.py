"""How a training run began and ended, for TensorBoard's tabs TEXT and HPARAMS."""

import platform
import sys

import tensorflow as tf

from contrib.learn.errors import quote
from contrib.learn.summary_writer_cache import get_file_writer


class RunSummaryHook(tf.compat.v1.train.SessionRunHook):
    """Writes for TensorBoard's tabs TEXT and HPARAMS how a training run began and ended."""

    def __init__(self, output_dir, hparams):
        """Takes the directory of the evaluations and a dict of numbers and strings.

        HPARAMS takes the metrics of a run from the directory of its hyperparameters. HPARAMS can
        look into a directory below, but TensorBoard 2.21 does not do so if `--logdir` is
        `model_dir` itself. A run is a success in HPARAMS if it reached `train_steps`.
        """
        self._output_dir = output_dir
        self._hparams = hparams

    def after_create_session(self, session, coord):
        # Imported here, because predict.py would wait for the import.
        from tensorboard.plugins.hparams import api_pb2
        from tensorboard.plugins.hparams import summary as hparams
        from tensorboard.plugins.text import summary as text

        types = {str: api_pb2.DATA_TYPE_STRING}
        hparam_infos = [
            api_pb2.HParamInfo(name=name, type=types.get(type(value), api_pb2.DATA_TYPE_FLOAT64))
            for name, value in self._hparams.items()
        ]
        # Without this list the tab would have a column for each scalar there is.
        metric_infos = [
            api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in ("Accuracy", "loss")
        ]
        rows = "".join(f"| {name} | {value} |\n" for name, value in self._hparams.items())
        description = (
            f"    python {' '.join(map(quote, sys.argv))}\n\n"
            f"Python {platform.python_version()}, TensorFlow {tf.__version__}\n\n"
            f"| hyperparameter | value |\n| --- | --- |\n{rows}"
        )
        step = session.run(tf.compat.v1.train.get_global_step())
        writer = get_file_writer(self._output_dir)
        for summary in (
            hparams.experiment_pb(hparam_infos, metric_infos),
            hparams.session_start_pb(self._hparams),
            text.pb("run", description),
        ):
            writer.add_summary(summary, step)

    def end(self, session):
        from tensorboard.plugins.hparams import api_pb2
        from tensorboard.plugins.hparams import summary as hparams

        step = session.run(tf.compat.v1.train.get_global_step())
        is_done = step >= self._hparams["train_steps"]
        status = api_pb2.STATUS_SUCCESS if is_done else api_pb2.STATUS_FAILURE
        summary = hparams.session_end_pb(status)
        get_file_writer(self._output_dir).add_summary(summary)
