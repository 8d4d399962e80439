"""What `import tensorflow` gives a program of TensorFlow 1.

What such programs need of TensorFlow's private parts is in this file.
"""

import importlib
import importlib.util
import logging
import os
import sys
import types
import warnings

from contrib.module_paths import PACKAGES, Finder
from contrib.names import LostName
from contrib.quiet_import import import_tensorflow
from contrib.tracebacks import show


def install():
    """See `contrib.install`. What has imported TensorFlow before keeps what it has."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    if importlib.util.find_spec("tf_keras"):
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # TensorFlow 1's Keras is Keras 2
    import_tensorflow()
    import tensorflow as tf2

    # What is imported now gets TensorFlow 2.
    import contrib.examples.input_data
    import contrib.layers
    import contrib.learn.export_strategy
    import contrib.learn.learn_runner
    import tf_estimator

    contrib.learn.datasets.mnist = contrib.examples.input_data  # this project's has uint8 images
    tf_estimator.install()
    tf = importlib.import_module("tensorflow.compat.v1")
    _silence(tf)
    tf.disable_v2_behavior()
    module = _make_module(tf2, tf)
    _mend(tf, module)
    PACKAGES["tensorflow.keras"] = module.keras.__name__
    sys.meta_path.insert(0, Finder())
    sys.excepthook = show
    sys.modules["tensorflow"] = module


def _silence(tf):
    """Keeps away what TensorFlow says of names that a program of TensorFlow 1 has to use."""
    from tensorflow.python.platform import flags

    tf.get_logger().addFilter(lambda record: " is deprecated" not in str(record.msg))
    warnings.filterwarnings("ignore", ".* will be removed in a future version")
    flags._logging = types.SimpleNamespace(warning=lambda message: None)  # of renamed arguments


def _make_module(tf2, tf):
    """Makes the module `tensorflow`: the names of `tf.compat.v1`, and all submodules."""
    module = types.ModuleType("tensorflow", tf.__doc__)
    module.__dict__.update(
        __getattr__=lambda name: getattr(tf, name),
        __dir__=lambda: dir(tf),
        __file__=tf2.__file__,
        __path__=tf2.__path__,
        __spec__=tf2.__spec__,
        __version__=tf.__version__,
        contrib=importlib.import_module("contrib"),
    )
    if not hasattr(tf.layers, "dense"):  # they are Keras 2's, and TensorFlow still has a part of it
        module.keras = importlib.import_module("tensorflow.python.keras")
        module.layers = importlib.import_module("tensorflow.python.layers.layers")
        module.layers.__getattr__ = _ask_for_keras_2
        tf.nn.rnn_cell = importlib.import_module("tensorflow.python.ops.rnn_cell_impl")
    return module


def _ask_for_keras_2(name):
    if name.startswith("__"):  # Python asks for some
        raise AttributeError(name)
    version = importlib.import_module("tensorflow").__version__.rpartition(".")[0]
    raise LostName(f"tf.layers.{name} needs Keras 2: pip install tf_keras~={version}.0")


def _mend(tf, module):
    """Puts back what programs of TensorFlow 1, and tf_slim, look for in TensorFlow."""
    from absl import flags
    from absl import logging as absl_logging
    from tensorflow.python.framework import device, ops
    from tensorflow.python.layers import normalization

    ops.Tensor, ops.IndexedSlices = tf.Tensor, tf.IndexedSlices
    device.DeviceSpec = tf.DeviceSpec  # TensorFlow 2's can't be changed, and programs do
    normalization.normalization = module.layers  # it asks for them where Keras has none any more
    tf.logging._logger = tf.get_logger()
    absl_logging.get_absl_handler().addFilter(_is_news)
    for handler in tf.get_logger().handlers:
        handler.addFilter(_is_first)
    flags.FLAGS["log_dir"].allow_override = True  # absl took a name that many programs use
    _give_flags_old_names(tf.flags.FLAGS)
    _let_map_take_old_names(tf.data.Dataset)


def _is_news(record):
    """Whether absl is to show a message: TensorFlow has shown its own, and says what ours say."""
    is_ours = record.pathname.startswith(os.path.dirname(__file__))
    return record.name != "tensorflow" and not (is_ours and record.levelno <= logging.INFO)


def _is_first(record):
    """Whether TensorFlow's handler is to show a message: not if one of the program's will."""
    handlers = logging.getLogger().handlers
    return not any(getattr(handler, "stream", None) is sys.stderr for handler in handlers)


def _give_flags_old_names(flags):
    """Programs up to TensorFlow 1.4 call FLAGS._parse_flags() and read the dict FLAGS.__flags."""
    get_before, not_its = type(flags).__getattribute__, {name: flags[name] for name in flags}

    def get(self, name):
        if name == "_parse_flags":
            return lambda args=None: self([sys.argv[0], *(args or sys.argv[1:])], known_only=True)
        if name == "__flags":
            own = (flag for flag in self if self[flag] is not not_its.get(flag))
            return {flag: self[flag].value for flag in own}
        return get_before(self, name)

    type(flags).__getattribute__ = get


def _let_map_take_old_names(dataset_class):
    """`tf.contrib.data.Dataset.map` had num_threads and output_buffer_size."""
    map_before = dataset_class.map

    def map(self, map_func, num_parallel_calls=None, *args, **kwargs):
        n_threads = kwargs.pop("num_threads", num_parallel_calls)
        n_buffered = kwargs.pop("output_buffer_size", None)
        dataset = map_before(self, map_func, n_threads, *args, **kwargs)
        return dataset.prefetch(n_buffered) if n_buffered else dataset

    dataset_class.map = map
