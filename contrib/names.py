"""Finds a name of `tf.contrib`, or says what to use in its place."""

import importlib
import importlib.util

_COLUMN = "tf.feature_column"
# {name below tf.contrib: what to use}; that of a package is for all names in it.
REPLACEMENTS = {
    "boosted_trees": "the package tensorflow-decision-forests",
    "distribute": "tf.distribute",
    "layers.bucketized_column": f"{_COLUMN}.bucketized_column",
    "layers.crossed_column": f"{_COLUMN}.crossed_column",
    "layers.embedding_column": f"{_COLUMN}.embedding_column",
    "layers.one_hot_column": f"{_COLUMN}.indicator_column",
    "layers.real_valued_column": f"{_COLUMN}.numeric_column",
    "layers.sparse_column_with_hash_bucket": f"{_COLUMN}.categorical_column_with_hash_bucket",
    "layers.sparse_column_with_keys": f"{_COLUMN}.categorical_column_with_vocabulary_list",
    "learn.DNNClassifier": "tf.estimator.DNNClassifier",
    "learn.DNNLinearCombinedClassifier": "tf.estimator.DNNLinearCombinedClassifier",
    "learn.DNNLinearCombinedRegressor": "tf.estimator.DNNLinearCombinedRegressor",
    "learn.DNNRegressor": "tf.estimator.DNNRegressor",
    "learn.Estimator": "tf.estimator.Estimator; its model_fn returns a tf.estimator.EstimatorSpec",
    "learn.InputFnOps": "tf.estimator.export.ServingInputReceiver",
    "learn.LinearClassifier": "tf.estimator.LinearClassifier",
    "learn.LinearRegressor": "tf.estimator.LinearRegressor",
    "learn.MetricSpec": "eval_metric_ops of tf.estimator.EstimatorSpec",
    "learn.ModelFnOps": "tf.estimator.EstimatorSpec",
    "predictor": "tf.saved_model.loader.load",
    "slim": "the package tf_slim (pip install tf_slim), which also has most of layers, framework "
    "and metrics",
    "timeseries": "the package statsmodels",
}


class LostName(AttributeError):
    """A name of TensorFlow 1 that is not here."""


class LostModule(ImportError):
    """A module of TensorFlow 1 that is not here."""


def explain(name):
    """Returns one line: that a name below `tf.contrib` is not here, and what to use."""
    parts = name.split(".")
    paths = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    use = next((f"use {REPLACEMENTS[path]}" for path in paths if path in REPLACEMENTS), None)
    return f"tf.contrib.{name} is not here; {use or 'docs/programs_of_2017.md lists what is'}"


def find(package, *modules, **places):
    """Returns the `__getattr__` of a package.

    Args:
      package: its name.
      *modules: modules, or their names, that have what the package itself has not.
      **places: `{name: module}` of single names. A name that its module has not stands for the
        module; so does a name whose module is the package, which was a module in it.
    """

    def __getattr__(name):
        if name.startswith("__"):  # Python asks for some
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if name in places:
            module = importlib.import_module(places[name])
            return module if places[name] == package else getattr(module, name, module)
        if importlib.util.find_spec(f"{package}.{name}"):
            return importlib.import_module(f"{package}.{name}")
        for module in modules:
            if isinstance(module, str):
                module = importlib.import_module(module)
            if hasattr(module, name):
                return getattr(module, name)
        raise LostName(explain(f"{package}.{name}".removeprefix("contrib.")))

    return __getattr__
