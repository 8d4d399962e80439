"""Imports modules of TensorFlow 1 by their paths: tensorflow.contrib.X.python.X.ops.Y and so on."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util

from contrib.names import LostModule, LostName, explain

# {path of TensorFlow 1: package}; the first that begins a path counts.
PACKAGES = {
    "tensorflow.contrib.keras": "tensorflow.keras",
    "tensorflow.contrib.learn.python.learn.datasets.mnist": "contrib.examples.input_data",
    "tensorflow.contrib.slim": "tf_slim",
    "tensorflow.contrib": "contrib",
    "tensorflow.examples": "contrib.examples",
    "tensorflow.python.estimator": "tensorflow_estimator.python.estimator",
}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives an old path the module that stands for it."""

    def find_spec(self, fullname, path=None, target=None):
        if _find_prefix(fullname):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        module = _import(spec.name)
        self._spec = getattr(module, "__spec__", None)
        return module

    def exec_module(self, module):
        module.__spec__ = self._spec  # where the import system has put that of the old path


def get_package(name):
    """Returns `tf.contrib.name`."""
    if name.startswith("__"):  # Python asks for some
        raise AttributeError(f"module 'contrib' has no attribute {name!r}")
    try:
        return _import(f"tensorflow.contrib.{name}")
    except LostModule as error:
        raise LostName(str(error)) from None


def _find_prefix(path):
    return next((prefix for prefix in PACKAGES if f"{path}.".startswith(f"{prefix}.")), None)


def _import(path):
    """Imports the module that stands for a path.

    Contrib's packages had packages of their own. For `contrib.learn.python.learn.utils.export`
    stands `contrib.learn.utils.export`, or else `contrib.learn.export`, or else `contrib.learn`.
    """
    prefix = _find_prefix(path)
    package, parts = PACKAGES[prefix], path[len(prefix) :].split(".")[1:]
    if package == "contrib" and parts:
        package = f"contrib.{parts.pop(0)}"
    if not _exists(package):
        raise LostModule(explain(path.removeprefix("tensorflow.contrib.")))
    repeated = {"python", prefix.rpartition(".")[2], package.rpartition(".")[2]}
    inner = [part for part in parts if part not in repeated]
    for candidate in (parts, *(inner[n:] for n in range(len(inner)))):
        module = ".".join([package, *candidate])
        if _exists(module):
            return importlib.import_module(module)
    return importlib.import_module(package)


def _exists(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there, or is none
        return False
