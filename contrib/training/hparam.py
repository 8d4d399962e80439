"""The hyperparameters of the blog; without TensorFlow, so that --help can list them at once."""

import json
import typing


class _Values(typing.NamedTuple):
    """Apart from `HParams`, as a NamedTuple's own class may not define `__new__`."""

    learning_rate: float = 0.002
    n_classes: int = 10
    train_steps: int = 5000
    min_eval_frequency: int = 100
    batch_size: int = 128
    precision: str = "float32"
    augmentation: str = "none"
    learning_rate_decay: str = "none"


class HParams(_Values):
    """The hyperparameters: an immutable namedtuple (blog: "an HParams object").

    Raises:
      ValueError: a value of the wrong type or out of range.
    """

    __slots__ = ()

    def __new__(cls, *args, **kwargs):
        params = super().__new__(cls, *args, **kwargs)
        return params.override(params.values())

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

    def __str__(self):
        """As `parse` takes them."""
        return ", ".join(f"{name}={value}" for name, value in self.values().items())


# The smallest and largest value of each hyperparameter; of strings, all of them.
_ALLOWED = {
    "learning_rate": (1e-38, 1e38),
    "n_classes": (2, 256),  # a label is one byte
    "train_steps": (1, 2**31),
    "min_eval_frequency": (1, 2**31),
    "batch_size": (1, 2**16),
    "precision": ("float32", "bfloat16"),
    "augmentation": ("none", "elastic"),
    "learning_rate_decay": ("none", "cosine"),
}


def _checked(name, value):
    if name not in HParams._fields:
        raise ValueError(f"unknown hyperparameter '{name}'; {_valid()}")
    value_type = type(HParams._field_defaults[name])
    low, high = _ALLOWED[name]
    try:
        converted = value_type(str(value))  # of JSON, too: 2.5 or true is no int
        if converted in (low, high) or (value_type is not str and low < converted < high):
            return converted
    except ValueError:
        pass
    allowed = f"{low} or {high}" if value_type is str else f"{value_type.__name__} in {low}..{high}"
    raise ValueError(f"hyperparameter {name}={value} has to be {allowed}; {_valid()}")


def _valid():
    return f"--hparams takes (with defaults) {HParams()}"
