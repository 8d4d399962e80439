"""`tf.contrib.learn.ExportStrategy`: what an Experiment exports when training ends."""

import collections
import inspect
import os

import tensorflow as tf


class ExportStrategy(collections.namedtuple("ExportStrategy", ["name", "export_fn"])):
    """A name and a function that exports an Estimator.

    `export_fn` is called with the Estimator and with the directory of the export, and returns the
    path of the export. It may take `checkpoint_path`, and then `eval_result`, too.
    """

    def export(self, estimator, export_path, checkpoint_path=None, eval_result=None):
        """Exports the Estimator; returns the path of the export.

        Raises:
          ValueError: `export_fn` takes `eval_result` without `checkpoint_path`.
        """
        names = inspect.signature(self.export_fn).parameters
        known = {"checkpoint_path": checkpoint_path, "eval_result": eval_result}
        arguments = {name: value for name, value in known.items() if name in names}
        if list(arguments) == ["eval_result"]:
            raise ValueError("An export_fn accepting eval_result must also accept checkpoint_path.")
        return self.export_fn(estimator, export_path, **arguments)


def make_export_strategy(
    serving_input_fn,
    default_output_alternative_key=None,
    assets_extra=None,
    as_text=False,
    exports_to_keep=5,
    strip_default_attrs=None,
):
    """Returns the `ExportStrategy` "Servo": SavedModels, of which the newest are kept.

    Args:
      serving_input_fn: returns a `tf.estimator.export.ServingInputReceiver`.
      default_output_alternative_key: None; it was for contrib's Estimator.
      assets_extra, as_text: see `export_saved_model` of the Estimator.
      exports_to_keep: how many are kept; None for all.
      strip_default_attrs: not used; they are stripped.
    """

    def export_fn(estimator, export_dir_base, checkpoint_path=None):
        if default_output_alternative_key is not None:
            raise ValueError(
                "default_output_alternative_key is not supported in core Estimator. "
                f"Given: {default_output_alternative_key}"
            )
        path = estimator.export_saved_model(
            export_dir_base, serving_input_fn, assets_extra, as_text, checkpoint_path
        )
        if exports_to_keep is not None:
            names = (name.rstrip("/") for name in tf.io.gfile.listdir(export_dir_base))
            versions = sorted((name for name in names if name.isdigit()), key=int)
            for version in versions[: max(len(versions) - exports_to_keep, 0)]:
                tf.io.gfile.rmtree(os.path.join(export_dir_base, version))
        return path

    return ExportStrategy("Servo", export_fn)


def check_export_strategies(values):
    """Returns a tuple of an `ExportStrategy`, of several, or of None.

    Raises:
      ValueError: a value is no `ExportStrategy`.
    """
    strategies = (values,) if isinstance(values, ExportStrategy) else tuple(values or ())
    for strategy in strategies:
        if not isinstance(strategy, ExportStrategy):
            raise ValueError(
                "`export_strategies` must be an ExportStrategy, an iterable of ExportStrategy, or "
                f"`None`, found {strategy}."
            )
    return strategies


def run_export_strategies(strategies, estimator, checkpoint_path, eval_result):
    """Exports to `<model_dir>/export/<name of the strategy>`; returns a list of paths."""
    export_dir = os.path.join(estimator.model_dir, "export")
    return [
        strategy.export(
            estimator, os.path.join(export_dir, strategy.name), checkpoint_path, eval_result
        )
        for strategy in strategies
    ]
