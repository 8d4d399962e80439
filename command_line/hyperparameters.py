"""Reads hyperparameters from a flag and from a model directory; checks their values."""

import os

# The smallest and the largest value of each hyperparameter that is a number.
BOUNDS = {
    "learning_rate": (1e-38, 1e38),
    "n_classes": (2, 256),  # a label is one byte
    "train_steps": (1, 2**31),
    "min_eval_frequency": (1, 2**31),
    "batch_size": (1, 2**16),
}
# All values of each hyperparameter that is a string.
CHOICES = {
    "precision": ("float32", "bfloat16"),
    "augmentation": ("none", "elastic"),
    "learning_rate_decay": ("none", "cosine"),
}


def describe(params):
    """Returns the hyperparameters as `parse_hparams` takes them."""
    return ", ".join(f"{name}={value}" for name, value in params.values().items())


def parse_hparams(params, text):
    """Sets hyperparameters from a text such as "learning_rate=0.01,train_steps=2000".

    Args:
      params: `HParams` with the defaults.
      text: assignments with commas between them.

    Returns:
      `params`.

    Raises:
      ValueError: a name is unknown, or a value has the wrong type or is out of bounds.
    """
    valid = describe(params)
    for assignment in filter(None, map(str.strip, text.split(","))):
        name, _, value = (part.strip() for part in assignment.partition("="))
        _set(
            params, name, value, lambda params, name, value: params.parse(f"{name}={value}"), valid
        )
    return params


def load_hparams(params, model_dir):
    """Sets the hyperparameters that `model_dir` keeps; a directory of 2017 keeps none.

    Returns:
      `params`.

    Raises:
      UserError: the file with the hyperparameters is damaged.
    """
    # TensorFlow reads the file; --help does not wait for TensorFlow.
    from contrib.learn import directories
    from contrib.learn.errors import UserError

    valid = describe(params)
    for name, value in directories.load_hparams(model_dir).items():
        try:
            _set(params, name, value, type(params).set_hparam, valid)
        except ValueError as error:
            path = os.path.join(model_dir, directories.HPARAMS_FILE)
            raise UserError(f"{path}: {error}; remove it to use the defaults") from error
    return params


def _set(params, name, value, assign, valid):
    valid = f"--hparams takes (with defaults) {valid}"
    if name not in params:
        raise ValueError(f"unknown hyperparameter '{name}'; {valid}")
    low, high = BOUNDS.get(name) or CHOICES[name]
    kind = type(params.get(name)).__name__
    allowed = f"{kind} in {low}..{high}" if name in BOUNDS else f"{low} or {high}"
    try:
        assign(params, name, value)
        found = params.get(name)
        if found in (low, high) or (name in BOUNDS and low < found < high):
            return
    except ValueError:
        pass
    raise ValueError(f"hyperparameter {name}={value} has to be {allowed}; {valid}")
