import pytest

from hparams import HParams


def test_hparams_defaults_are_the_originals():
    assert HParams().values() == {
        "learning_rate": 0.002,
        "n_classes": 10,
        "train_steps": 5000,
        "min_eval_frequency": 100,
        "batch_size": 128,
        "precision": "float32",
        "augmentation": "none",
        "learning_rate_decay": "none",
    }


def test_parse_converts_each_value_to_its_type():
    params = HParams().parse("learning_rate=1, train_steps=2000")
    assert params == HParams(learning_rate=1.0, train_steps=2000)
    assert isinstance(params.learning_rate, float)


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
        "train_steps=1.5",
        "train_steps=many",
        "learning_rate=-0.1",
        "learning_rate=0",
        "learning_rate=nan",
        "learning_rate=inf",
        "n_classes=1",
        "batch_size=-1",
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
