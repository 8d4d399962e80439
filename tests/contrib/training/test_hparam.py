import json

import numpy as np
import pytest

from contrib.training.hparam import HParams


def test_parse_converts_each_value_to_its_type():
    params = HParams().parse("learning_rate=1, train_steps=2000")
    assert params == HParams(learning_rate=1.0, train_steps=2000)
    assert isinstance(params.learning_rate, float)


def test_values_are_checked_and_converted_however_they_are_given():
    params = HParams(np.float32(0.5), batch_size=np.int64(16), train_steps="7")
    assert params == HParams(0.5, batch_size=16, train_steps=7)
    assert {type(value) for value in params.values().values()} == {float, int, str}
    for wrong in ({"augmentation": "Elastic"}, {"learning_rate": -0.01}, {"batch_size": 1e1}):
        with pytest.raises(ValueError, match="has to be"):
            HParams(**wrong)


def test_parse_takes_spaces_and_a_comma_at_the_end():
    assert HParams().parse(" train_steps = 7 ,") == HParams(train_steps=7)
    assert HParams().parse("") == HParams()


def test_parse_keeps_what_was_changed_before():
    params = HParams(batch_size=64)
    assert params.parse("train_steps=7") == HParams(batch_size=64, train_steps=7)
    assert params == HParams(batch_size=64)


def test_parse_takes_what_str_gives():
    params = HParams(learning_rate=0.01, precision="bfloat16")
    assert HParams().parse(str(params)) == params
    assert str(params).startswith("learning_rate=0.01, n_classes=10, train_steps=5000, ")


def test_to_json_is_what_override_takes():
    params = HParams(learning_rate=0.01, precision="bfloat16")
    assert HParams().override(json.loads(params.to_json())) == params


@pytest.mark.parametrize(
    "values",
    [
        *("learning_rate=1e-38", "learning_rate=1e38", "n_classes=2", "n_classes=256"),
        *("train_steps=1", f"train_steps={2**31}", "batch_size=1", f"batch_size={2**16}"),
        *("min_eval_frequency=1", f"min_eval_frequency={2**31}"),
        *("precision=float32", "precision=bfloat16"),
    ],
)
def test_the_ends_of_each_range_are_valid(values):
    name, value = values.split("=")
    assert getattr(HParams().parse(values), name) == type(getattr(HParams(), name))(value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("train_steps=0", "train_steps=0 has to be int in 1..2147483648"),
        ("learning_rate=0", "learning_rate=0 has to be float in 1e-38..1e+38"),
        ("precision=double", "precision=double has to be float32 or bfloat16"),
    ],
)
def test_an_invalid_value_is_told_what_it_may_be(values, message):
    with pytest.raises(ValueError) as error:
        HParams().parse(values)
    valid = f"--hparams takes (with defaults) {HParams()}"
    assert str(error.value) == f"hyperparameter {message}; {valid}"


def test_an_unknown_name_is_told_the_valid_ones():
    with pytest.raises(ValueError) as error:
        HParams().parse("depth=3")
    valid = f"--hparams takes (with defaults) {HParams()}"
    assert str(error.value) == f"unknown hyperparameter 'depth'; {valid}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_steps", 2.7),
        ("train_steps", float("inf")),
        ("batch_size", True),
        ("precision", None),
    ],
)
def test_values_of_json_are_checked_like_those_of_the_command_line(name, value):
    with pytest.raises(ValueError, match=f"hyperparameter {name}={value} has to be"):
        HParams().override({name: value})


def test_hparams_are_immutable():
    with pytest.raises(AttributeError):
        HParams().learning_rate = 1


@pytest.mark.parametrize(
    "values",
    [
        "momentum=0.9",
        "train_steps",
        "train_steps=",
        "train_steps=0",
        f"train_steps={2**31 + 1}",
        "train_steps=1.5",
        "train_steps=many",
        "learning_rate=-0.1",
        "learning_rate=0",
        "learning_rate=nan",
        "learning_rate=inf",
        "learning_rate=9e-39",
        "learning_rate=2e38",
        "n_classes=1",
        "n_classes=257",
        "min_eval_frequency=0",
        f"min_eval_frequency={2**31 + 1}",
        "batch_size=0",
        "batch_size=-1",
        f"batch_size={2**16 + 1}",
        "precision=float16",
        "augmentation=affine",
        "learning_rate_decay=linear",
    ],
)
def test_invalid_hparams_are_an_error_that_lists_the_valid_names(values):
    with pytest.raises(ValueError, match=values.split("=")[0]) as error:
        HParams().parse(values)
    assert all(name in str(error.value) for name in HParams._fields)
    assert "\n" not in str(error.value)
