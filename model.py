"""The model of the blog: its hyperparameters, its network and the `model_fn` of the Estimator."""

import json
import os
import typing

import tensorflow as tf
from absl import logging

from tf_estimator import EstimatorSpec, ModeKeys, PredictOutput

HPARAMS_FILE = "hparams.json"

# Names of two tensors in the training graph, for whoever reports on its progress.
BATCH_LOSS, BATCH_ACCURACY = "batch_loss", "batch_accuracy"

# Names of four tensors in the evaluation graph, for whoever looks at what it gets wrong.
EVAL_IMAGES, EVAL_LABELS, EVAL_CLASS, EVAL_PROBABILITIES = (
    "eval_images",
    "eval_labels",
    "eval_class",
    "eval_probabilities",
)


class HParams(typing.NamedTuple):
    """The hyperparameters: an immutable namedtuple (blog: "an HParams object")."""

    learning_rate: float = 0.002
    n_classes: int = 10
    train_steps: int = 5000
    min_eval_frequency: int = 100
    batch_size: int = 128
    precision: str = "float32"

    def parse(self, values):
        """Returns a copy with the values of a string such as "learning_rate=0.01,train_steps=2000".

        Raises:
          ValueError: an unknown name, or a value of the wrong type or out of range.
        """
        pairs = [pair.partition("=") for pair in values.split(",") if pair.strip()]
        return self.override({name.strip(): value.strip() for name, _, value in pairs})

    def override(self, values):
        """Returns a copy with the values of a dict, converted from strings. Raises as `parse`."""
        return self._replace(**{name: _checked(name, value) for name, value in values.items()})

    def values(self):
        return self._asdict()

    def to_json(self):
        return json.dumps(self.values())

    def save(self, model_dir):
        """Keeps the values in `model_dir`, for whoever rebuilds the model."""
        os.makedirs(model_dir, exist_ok=True)
        path = os.path.join(model_dir, HPARAMS_FILE)
        with open(path + ".tmp", "w") as file:
            file.write(self.to_json() + "\n")
        os.replace(path + ".tmp", path)

    @classmethod
    def load(cls, model_dir):
        """Returns the values kept in `model_dir`; the defaults if there are none, as in 2017.

        Raises:
          ValueError: the file holds something else.
        """
        path = os.path.join(model_dir, HPARAMS_FILE)
        try:
            with open(path) as file:
                return cls().override(json.load(file))
        except FileNotFoundError:
            return cls()
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{path}: {error}; remove it to use the defaults") from error


# The smallest and largest value of each hyperparameter; of strings, all of them.
_ALLOWED = {
    "learning_rate": (1e-38, 1e38),
    "n_classes": (2, 256),  # a label is one byte
    "train_steps": (1, 2**31),
    "min_eval_frequency": (1, 2**31),
    "batch_size": (1, 2**16),
    "precision": ("float32", "bfloat16"),
}


def _checked(name, value):
    valid = ", ".join(f"{field}={default}" for field, default in HParams().values().items())
    valid = f"--hparams takes (with defaults) {valid}"
    if name not in HParams._fields:
        raise ValueError(f"unknown hyperparameter '{name}'; {valid}")
    value_type = type(getattr(HParams(), name))
    low, high = _ALLOWED[name]
    try:
        converted = value_type(value)
        if converted in (low, high) or (value_type is not str and low < converted < high):
            return converted
    except (TypeError, ValueError):
        pass
    allowed = f"{low} or {high}" if value_type is str else f"{value_type.__name__} in {low}..{high}"
    raise ValueError(f"hyperparameter {name}={value} has to be {allowed}; {valid}")


def architecture(inputs, is_training, scope="MnistConvNet", n_classes=10):
    """The blog's network.

    Args:
      inputs: float32 or bfloat16 [B, 28, 28, 1] in [0, 1], white digits on black; the layers
        compute in that type. The variables are float32 in any case.
      is_training: whether dropout is on.
      scope: the variable scope; the names below it are those of the 2017 checkpoints.
      n_classes: the number of classes.

    Returns:
      logits, float32 [B, n_classes].
    """
    with tf.compat.v1.variable_scope(scope):
        net = conv2d_and_max_pool(inputs, 20, "conv1")  # [B, 12, 12, 20]
        net = conv2d_and_max_pool(net, 40, "conv3")  # [B, 4, 4, 40]
        net = tf.reshape(net, [-1, 4 * 4 * 40])
        for name in ("fn5", "fn6"):
            net = tf.nn.relu(fully_connected(net, 256, name))  # [B, 256]
            if is_training:
                net = tf.nn.dropout(net, rate=0.5)
        return tf.cast(fully_connected(net, n_classes, "output"), tf.float32)


def conv2d_and_max_pool(inputs, filters, scope):
    """5x5 convolution, 2x2 max-pooling, bias, ReLU: [B, H, W, C] to [B, (H-4)/2, (W-4)/2, filters].

    The blog pools after bias and ReLU. Both commute with the maximum, and after it they have a
    quarter of the numbers to go through.
    """
    with tf.compat.v1.variable_scope(scope):
        shape = [5, 5, inputs.shape[-1], filters]
        weights, biases = get_weights_and_biases(shape, inputs.dtype)
        net = tf.nn.conv2d(inputs, weights, strides=1, padding="VALID")
        net = tf.nn.max_pool2d(net, ksize=2, strides=2, padding="VALID")
        return tf.nn.relu(tf.nn.bias_add(net, biases))


def fully_connected(inputs, units, scope):
    """[B, C] to [B, units], without an activation."""
    with tf.compat.v1.variable_scope(scope):
        weights, biases = get_weights_and_biases([inputs.shape[-1], units], inputs.dtype)
        return tf.nn.bias_add(tf.matmul(inputs, weights), biases)


def get_weights_and_biases(shape, dtype):
    """Glorot-uniform weights and zero biases, as slim's layers made them, cast to `dtype`."""
    weights = tf.compat.v1.get_variable(
        "weights", shape, initializer=tf.compat.v1.glorot_uniform_initializer()
    )
    biases = tf.compat.v1.get_variable(
        "biases", shape[-1:], initializer=tf.compat.v1.zeros_initializer()
    )
    return tf.cast(weights, dtype), tf.cast(biases, dtype)


def model_fn(features, labels, mode, params, *, summary_images=True):
    """The model function of the Estimator (blog: "Model function").

    Args:
      features: images, uint8 [B, 28, 28], white digits on black.
      labels: uint8 [B], or None in mode PREDICT.
      mode: `ModeKeys.TRAIN`, `EVAL` or `PREDICT`.
      params: `HParams`.
      summary_images: whether training shows pictures in TensorBoard.

    Returns:
      `EstimatorSpec`; its predictions are `class` int64 [B], `probabilities` and `logits` float32
      [B, n_classes].
    """
    inputs = tf.cast(features, tf.float32)[..., tf.newaxis] / 255  # [B, 28, 28, 1]
    inputs = tf.cast(inputs, get_precision(params))
    logits = architecture(inputs, mode == ModeKeys.TRAIN, n_classes=params.n_classes)
    predictions = {
        "class": tf.argmax(logits, axis=-1),
        "probabilities": tf.nn.softmax(logits),
        "logits": logits,
    }
    if mode == ModeKeys.PREDICT:
        served = {name: predictions[name] for name in ("class", "probabilities")}
        return EstimatorSpec(
            mode,
            predictions=predictions,
            export_outputs={
                tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: PredictOutput(served)
            },
        )

    labels = tf.cast(labels, tf.int64)
    loss = tf.compat.v1.losses.sparse_softmax_cross_entropy(labels, logits)
    if mode == ModeKeys.EVAL:
        tf.identity(features, name=EVAL_IMAGES)
        tf.identity(labels, name=EVAL_LABELS)
        tf.identity(predictions["class"], name=EVAL_CLASS)
        tf.identity(predictions["probabilities"], name=EVAL_PROBABILITIES)
        return EstimatorSpec(
            mode, loss=loss, eval_metric_ops=get_eval_metric_ops(labels, predictions["class"])
        )

    correct = tf.cast(tf.equal(labels, predictions["class"]), tf.float32)
    batch_accuracy = tf.reduce_mean(correct, name=BATCH_ACCURACY)
    tf.identity(loss, name=BATCH_LOSS)
    # Not in the original; under this tag TensorBoard draws it into the chart of the evaluations.
    tf.compat.v1.summary.scalar("Accuracy", batch_accuracy)
    if summary_images:
        add_image_summaries(features)
    return EstimatorSpec(mode, loss=loss, train_op=get_train_op_fn(loss, params))


def get_precision(params):
    """Returns the type to compute in: bfloat16 only if the processor has instructions for it."""
    if params.precision == "bfloat16" and not has_bfloat16():
        message = "this processor has no bfloat16 instructions: computing in float32 instead"
        logging.log_first_n(logging.WARNING, message, 1)
        return "float32"
    return params.precision


def has_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Looks for flags such as avx512_bf16 and amx_bf16, or bf16 on Arm."""
    try:
        with open(cpuinfo) as file:
            return any(flag.endswith("bf16") for flag in file.read().split())
    except OSError:
        return False


def get_train_op_fn(loss, params):
    """Adam, with the names, variables and summaries of `tf.contrib.layers.optimize_loss`."""
    with tf.compat.v1.variable_scope("OptimizeLoss"):
        learning_rate = tf.compat.v1.get_variable(
            "learning_rate",
            [],
            trainable=False,
            initializer=tf.compat.v1.constant_initializer(params.learning_rate),
        )
        # Assigned, as a checkpoint would otherwise bring back the rate that it was trained with.
        optimizer = tf.compat.v1.train.AdamOptimizer(learning_rate.assign(params.learning_rate))
        gradients = optimizer.compute_gradients(loss)
        tf.compat.v1.summary.scalar("loss", loss)
        tf.compat.v1.summary.scalar(
            "global_norm/gradient_norm",
            tf.linalg.global_norm([gradient for gradient, _ in gradients]),
        )
        add_variable_summaries(params.learning_rate, gradients)
        return optimizer.apply_gradients(gradients, tf.compat.v1.train.get_global_step())


def add_image_summaries(images):
    """Shows the first images of a batch, uint8 [B, 28, 28], and the filters that look at them."""
    (weights,) = tf.compat.v1.trainable_variables("MnistConvNet/conv1/weights")  # [5, 5, 1, 20]
    with tf.name_scope("pictures"):
        filters = tf.transpose(weights[:, :, 0], [2, 0, 1])  # [20, 5, 5]
        tf.compat.v1.summary.image("batch", tile(images), max_outputs=1)
        tf.compat.v1.summary.image("conv1", tile(filters), max_outputs=1)


def tile(images, rows=4, columns=5):
    """One picture of the first images: [N, H, W] to [1, rows * (H + 1), columns * (W + 1), 1]."""
    height, width = images.shape[1] + 1, images.shape[2] + 1  # with a line between two images
    images = images[: rows * columns]
    missing = rows * columns - tf.shape(images)[0]
    darkest = tf.reduce_min(images)
    images = tf.pad(images, [[0, missing], [0, 1], [0, 1]], constant_values=darkest)
    images = tf.reshape(images, [rows, columns, height, width])
    images = tf.transpose(images, [0, 2, 1, 3])
    return tf.reshape(images, [1, rows * height, columns * width, 1])


def add_variable_summaries(learning_rate, gradients):
    """Shows the learning rate, and the spread of each variable and of its gradient.

    Args:
      learning_rate: a float.
      gradients: list of `(gradient, variable)`.
    """
    with tf.name_scope("variables/"):  # the slash: not below the scope of the caller
        tf.compat.v1.summary.scalar("learning_rate", learning_rate)
        for gradient, variable in gradients:
            tf.compat.v1.summary.histogram(variable.op.name, variable)
            tf.compat.v1.summary.histogram(f"{variable.op.name}_gradient", gradient)


def get_eval_metric_ops(labels, predictions):
    """Accuracy over a whole evaluation; `labels` and `predictions` are int64 [B]."""
    return {"Accuracy": tf.compat.v1.metrics.accuracy(labels, predictions)}
