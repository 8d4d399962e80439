"""The model of the blog: its network and the `model_fn` of the Estimator."""

import os

import numpy as np
import tensorflow as tf
from absl import logging

from contrib.layers import optimize_loss
from hooks import BATCH_ACCURACY, BATCH_LOSS
from summaries import EvaluationSummaryHook, add_image_summaries, add_variable_summaries
from tf_estimator import EstimatorSpec, ModeKeys, PredictOutput


def architecture(inputs, is_training, scope="MnistConvNet", n_classes=10):
    """The blog's network.

    Args:
      inputs: float32 or bfloat16 [B, 28, 28, 1] in [0, 1], white digits on black; the layers
        compute in this type. The variables are always float32.
      is_training: whether dropout is on.
      scope: the variable scope; the names below it are the names in the 2017 checkpoints.
      n_classes: the number of classes.

    Returns:
      logits, float32 [B, n_classes].
    """
    with tf.compat.v1.variable_scope(scope, reuse=tf.compat.v1.AUTO_REUSE):
        net = conv2d_and_max_pool(inputs, 20, "conv1")  # [B, 12, 12, 20]
        net = conv2d_and_max_pool(net, 40, "conv3")  # [B, 4, 4, 40]
        net = tf.reshape(net, [-1, 4 * 4 * 40])
        for name in ("fn5", "fn6"):
            net = tf.nn.relu(fully_connected(net, 256, name))  # [B, 256]
            if is_training:
                net = tf.nn.dropout(net, rate=0.5)
        return tf.cast(fully_connected(net, n_classes, "output"), tf.float32)


def towers(inputs, n_towers, **arguments):
    """Calls `architecture` for each of `n_towers` parts of the batch, with shared variables.

    Two cores do two operations of one thread each faster than one operation of two threads, because
    the threads of an operation wait for each other.

    Args:
      inputs: [B, 28, 28, 1]; B is static.
      n_towers: how many parts.
      **arguments: see `architecture`.

    Returns:
      logits, float32 [B, n_classes].
    """
    n_towers = min(n_towers, inputs.shape[0])
    if n_towers == 1:
        return architecture(inputs, **arguments)
    ends = [inputs.shape[0] * number // n_towers for number in range(n_towers + 1)]
    parts = tf.split(inputs, np.diff(ends))
    return tf.concat([architecture(part, **arguments) for part in parts], axis=0)


def get_n_towers(config):
    """Returns how many operations a session does at a time, if each has one thread; else 1."""
    session_config = config and config.session_config
    if not session_config or session_config.intra_op_parallelism_threads != 1:
        return 1
    return session_config.inter_op_parallelism_threads


def conv2d_and_max_pool(inputs, filters, scope):
    """5x5 convolution, 2x2 max-pooling, bias, ReLU: [B, H, W, C] to [B, (H-4)/2, (W-4)/2, filters].

    The blog pools after bias and ReLU. Both commute with the maximum. After the pooling they take a
    quarter of the time, because there is a quarter of the numbers.
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
    """Returns Glorot-uniform weights and zero biases, like the layers of slim, cast to `dtype`."""
    weights = tf.compat.v1.get_variable(
        "weights", shape, initializer=tf.compat.v1.glorot_uniform_initializer()
    )
    biases = tf.compat.v1.get_variable(
        "biases", shape[-1:], initializer=tf.compat.v1.zeros_initializer()
    )
    return tf.cast(weights, dtype), tf.cast(biases, dtype)


def model_fn(
    features,
    labels,
    mode,
    params,
    config=None,
    *,
    eval_name="",
    summary_images=True,
):
    """The model function of the Estimator (blog: "Model function").

    Args:
      features: images, white digits on black: uint8 [B, 28, 28], or, as in 2017, float32
        [B, 28, 28, 1] from 0 to 1.
      labels: uint8 [B], or None in mode PREDICT.
      mode: `ModeKeys.TRAIN`, `EVAL` or `PREDICT`.
      params: `HParams`.
      config: `RunConfig`; its threads decide in how many parts a training step computes a batch.
        Without `RunConfig` an evaluation writes no summaries of its own.
      eval_name: evaluations write to the directory `eval_<eval_name>`, or `eval` for "".
      summary_images: whether TensorBoard gets image summaries.

    Returns:
      `EstimatorSpec`; its predictions are `class` int64 [B], `probabilities` and `logits` float32
      [B, n_classes].
    """
    if features.dtype.is_floating:
        features = tf.cast(tf.round(255 * features), tf.uint8)
    if features.shape.rank == 4:
        features = tf.squeeze(features, -1)
    inputs = tf.cast(features, tf.float32)[..., tf.newaxis] / 255  # [B, 28, 28, 1]
    inputs = tf.cast(inputs, get_precision(params))
    if mode == ModeKeys.TRAIN:
        n_towers = get_n_towers(config)
        logits = towers(inputs, n_towers, is_training=True, n_classes=params.n_classes)
    else:
        logits = architecture(inputs, is_training=False, n_classes=params.n_classes)
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
        evaluation_hooks = []
        if config:
            eval_dir = os.path.join(config.model_dir, f"eval_{eval_name}" if eval_name else "eval")
            hook = EvaluationSummaryHook(eval_dir, features, labels, predictions, summary_images)
            evaluation_hooks.append(hook)
        return EstimatorSpec(
            mode,
            loss=loss,
            eval_metric_ops=get_eval_metric_ops(labels, predictions["class"]),
            evaluation_hooks=evaluation_hooks,
        )

    correct = tf.cast(tf.equal(labels, predictions["class"]), tf.float32)
    batch_accuracy = tf.reduce_mean(correct, name=BATCH_ACCURACY)
    tf.identity(loss, name=BATCH_LOSS)
    # The blog has no such scalar. TensorBoard draws this tag into the chart of the evaluations.
    tf.compat.v1.summary.scalar("Accuracy", batch_accuracy)
    if summary_images:
        add_image_summaries(features)
    return EstimatorSpec(mode, loss=loss, train_op=get_train_op_fn(loss, params))


def get_precision(params):
    """Returns the type of the layers: float32 on a processor without bfloat16 instructions."""
    if params.precision == "bfloat16" and not tf.config.list_physical_devices("GPU"):
        available = has_bfloat16()
        if available is None:
            message = "it is not known here whether this processor has bfloat16 instructions"
            logging.log_first_n(logging.WARNING, f"{message}; without them float32 is faster", 1)
        elif not available:
            message = "this processor has no bfloat16 instructions: computing in float32 instead"
            logging.log_first_n(logging.WARNING, message, 1)
            return "float32"
    return params.precision


def has_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Returns whether a flag such as amx_bf16, or bf16 on Arm, is there; None without the file."""
    try:
        with open(cpuinfo) as file:
            return any(flag.endswith("bf16") for flag in file.read().split())
    except OSError:
        return None


def get_train_op_fn(loss, params):
    """Returns the operation of a training step (blog: "get_train_op_fn")."""
    rate = get_learning_rate(params)
    with tf.name_scope("variables/"):  # the slash: not below the scope of the caller
        tf.compat.v1.summary.scalar("learning_rate", rate)
    return optimize_loss(
        loss=loss,
        global_step=tf.compat.v1.train.get_global_step(),
        learning_rate=params.learning_rate,
        optimizer=SummaryAdamOptimizer,
        # A checkpoint brings back its own learning rate, so the rate is assigned in each step.
        learning_rate_decay_fn=lambda learning_rate, global_step: learning_rate.assign(rate),
        summaries=["loss", "global_gradient_norm"],
    )


class SummaryAdamOptimizer(tf.compat.v1.train.AdamOptimizer):
    """Adam with histograms of each variable and of its gradient."""

    def compute_gradients(self, *args, **kwargs):
        gradients = super().compute_gradients(*args, **kwargs)
        add_variable_summaries(gradients)
        return gradients


def get_learning_rate(params):
    """Returns the learning rate of a step: a float, or a float32 scalar if it decays.

    With "cosine" the rate goes to zero over `train_steps` by half a cosine (Loshchilov and Hutter,
    "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, without the restarts).
    """
    if params.learning_rate_decay == "none":
        return params.learning_rate
    global_step = tf.cast(tf.compat.v1.train.get_global_step(), tf.float32)
    return params.learning_rate * (1 + tf.cos(np.pi * global_step / params.train_steps)) / 2


def get_eval_metric_ops(labels, predictions):
    """Returns the accuracy of an evaluation; `labels` and `predictions` are int64 [B]."""
    return {"Accuracy": tf.compat.v1.metrics.accuracy(labels, predictions)}
