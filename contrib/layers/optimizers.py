"""`tf.contrib.layers.optimize_loss`: one call from a loss to a training operation."""

import tensorflow as tf

_train = tf.compat.v1.train

OPTIMIZER_CLS_NAMES = {
    "Adagrad": _train.AdagradOptimizer,
    "Adam": _train.AdamOptimizer,
    "Ftrl": _train.FtrlOptimizer,
    "Momentum": lambda learning_rate: _train.MomentumOptimizer(learning_rate, momentum=0.9),
    "RMSProp": _train.RMSPropOptimizer,
    "SGD": _train.GradientDescentOptimizer,
}
OPTIMIZER_SUMMARIES = [
    "learning_rate",
    "loss",
    "gradients",
    "gradient_norm",
    "global_gradient_norm",
]


def optimize_loss(
    loss,
    global_step,
    learning_rate,
    optimizer,
    gradient_noise_scale=None,
    gradient_multipliers=None,
    clip_gradients=None,
    learning_rate_decay_fn=None,
    update_ops=None,
    variables=None,
    name=None,
    summaries=None,
    colocate_gradients_with_ops=False,
    increment_global_step=True,
):
    """Returns an operation that takes one step of an optimizer, with contrib's names and summaries.

    Args:
      loss: a scalar.
      global_step: the step counter, a scalar integer variable; None for that of the graph.
      learning_rate: a float, which becomes the variable `<name>/learning_rate`; a scalar; or None.
      optimizer: a name of `OPTIMIZER_CLS_NAMES`, a class or a function that takes the learning
        rate, a function that takes nothing if `learning_rate` is None, or an optimizer.
      gradient_noise_scale: standard deviation of normal noise on the gradients, or None.
      gradient_multipliers: `{variable or its name: factor}` for its gradient, or None.
      clip_gradients: the largest global norm, a float; or a function from a list of
        `(gradient, variable)` to such a list.
      learning_rate_decay_fn: a function of the learning rate and the global step.
      update_ops: operations to run in each step; None for the collection UPDATE_OPS.
      variables: the variables to train; None for all trainable variables.
      name: the name scope of the operations and summaries, "OptimizeLoss" by default.
      summaries: a list of names of `OPTIMIZER_SUMMARIES`.
      colocate_gradients_with_ops: whether a gradient runs on the device of its operation.
      increment_global_step: whether the step counter counts this step.

    Returns:
      The loss, a scalar that is computed after the update.

    Raises:
      ValueError: an argument has the wrong type, shape or value.
    """
    loss = tf.convert_to_tensor(loss)
    loss.shape.assert_is_compatible_with([])
    if global_step is None:
        global_step = _train.get_global_step()
    else:
        _train.assert_global_step(global_step)
    if summaries is None:
        summaries = ["loss", "learning_rate", "global_gradient_norm"]
    for summary in summaries:
        if summary not in OPTIMIZER_SUMMARIES:
            raise ValueError(
                f"Summaries should be one of [{', '.join(OPTIMIZER_SUMMARIES)}], "
                f"you provided {summary}."
            )
    with tf.compat.v1.variable_scope(name, "OptimizeLoss", [loss, global_step]):
        if update_ops is None:
            update_ops = tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.UPDATE_OPS)
        if update_ops:
            with tf.control_dependencies(list(update_ops)):
                loss = tf.identity(loss)
        rate = _get_learning_rate(learning_rate)
        if rate is not None and learning_rate_decay_fn is not None:
            if global_step is None:
                raise ValueError("global_step is required for learning_rate_decay_fn.")
            rate = learning_rate_decay_fn(rate, global_step)
            if "learning_rate" in summaries:
                tf.compat.v1.summary.scalar("learning_rate", rate)
        optimizer = _get_optimizer(optimizer, rate)
        if variables is None:
            variables = tf.compat.v1.trainable_variables()
        gradients = optimizer.compute_gradients(
            loss, variables, colocate_gradients_with_ops=colocate_gradients_with_ops
        )
        if gradient_noise_scale is not None:
            gradients = _add_noise(gradients, gradient_noise_scale)
        if gradient_multipliers is not None:
            gradients = _multiply(gradients, gradient_multipliers)
        has_norm = "global_gradient_norm" in summaries or "gradient_norm" in summaries
        if has_norm:
            _add_global_norm("gradient_norm", gradients)
        if "loss" in summaries:
            tf.compat.v1.summary.scalar("loss", loss)
        if clip_gradients is not None:
            gradients = _clip(gradients, clip_gradients)
        _add_gradient_summaries(gradients, summaries)
        if clip_gradients is not None and has_norm:
            _add_global_norm("clipped_gradient_norm", gradients)
        update = optimizer.apply_gradients(
            gradients, global_step if increment_global_step else None, name="train"
        )
        with tf.control_dependencies([update]):
            return tf.identity(loss)


def _get_learning_rate(learning_rate):
    if learning_rate is None or (tf.is_tensor(learning_rate) and learning_rate.shape.rank == 0):
        return learning_rate
    if not isinstance(learning_rate, float):
        raise ValueError(
            f"Learning rate should be 0d Tensor or float. Got {learning_rate} of type "
            f"{type(learning_rate)}"
        )
    if learning_rate < 0:
        raise ValueError(f"Invalid learning_rate {learning_rate}.")
    return tf.compat.v1.get_variable(
        "learning_rate",
        [],
        trainable=False,
        initializer=tf.compat.v1.constant_initializer(learning_rate),
    )


def _get_optimizer(optimizer, rate):
    is_class = isinstance(optimizer, type) and issubclass(optimizer, _train.Optimizer)
    if isinstance(optimizer, _train.Optimizer):
        return optimizer
    if rate is None and (isinstance(optimizer, str) or is_class):
        raise ValueError(
            f"Learning rate is None, but should be specified if optimizer is {optimizer}."
        )
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZER_CLS_NAMES:
            raise ValueError(
                f"Optimizer name should be one of [{', '.join(OPTIMIZER_CLS_NAMES)}], "
                f"you provided {optimizer}."
            )
        return OPTIMIZER_CLS_NAMES[optimizer](learning_rate=rate)
    made = None
    if callable(optimizer):
        made = optimizer() if rate is None else optimizer(rate)
    if not isinstance(made, _train.Optimizer):
        raise ValueError(
            "Unrecognized optimizer: should be string, subclass of Optimizer, instance of subclass "
            f"of Optimizer or function that returns an Optimizer. Got {optimizer}."
        )
    return made


def _apply(function, gradient):
    """Applies a function to the values of a gradient, which may be sparse or None."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(function(gradient.values), gradient.indices, gradient.dense_shape)
    return gradient if gradient is None else function(gradient)


def _add_noise(gradients, scale):
    def add_noise(values):
        return values + scale * tf.random.normal(tf.shape(values), dtype=values.dtype)

    return [(_apply(add_noise, gradient), variable) for gradient, variable in gradients]


def _multiply(gradients, multipliers):
    multiplied = []
    for gradient, variable in gradients:
        factor = multipliers.get(variable, multipliers.get(variable.name))
        if factor is not None:
            gradient = _apply(lambda v, factor=factor: v * tf.cast(factor, v.dtype), gradient)
        multiplied.append((gradient, variable))
    return multiplied


def _clip(gradients, clip_gradients):
    if callable(clip_gradients):
        return clip_gradients(gradients)
    if not isinstance(clip_gradients, float):
        raise ValueError(f"Unknown type {type(clip_gradients)} for clip_gradients")
    values, variables = zip(*gradients)
    clipped, _ = tf.clip_by_global_norm(values, clip_gradients)
    return list(zip(clipped, variables))


def _add_global_norm(name, gradients):
    norm = tf.linalg.global_norm([gradient for gradient, _ in gradients])
    tf.compat.v1.summary.scalar(f"global_norm/{name}", norm)


def _add_gradient_summaries(gradients, summaries):
    for gradient, variable in gradients:
        if gradient is None:
            continue
        values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
        name = variable.name.replace(":", "_")
        if "gradients" in summaries:
            tf.compat.v1.summary.histogram(f"gradients/{name}", values)
        if "gradient_norm" in summaries:
            tf.compat.v1.summary.scalar(f"gradient_norm/{name}", tf.linalg.global_norm([values]))
