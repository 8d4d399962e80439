import json

import pytest

from command_line.hyperparameters import describe, load_hparams, parse_hparams
from contrib.learn.errors import UserError
from mnist_estimator import get_hparams


def parse(text, **values):
    """The hyperparameters that differ from the defaults after this text is read."""
    params = get_hparams(**values)
    assert parse_hparams(params, text) is params
    defaults = get_hparams().values()
    return {name: value for name, value in params.values().items() if value != defaults[name]}


VALID = f"--hparams takes (with defaults) {describe(get_hparams())}"


def test_each_value_is_converted_to_its_type():
    assert parse("learning_rate=1, train_steps=2000") == {"learning_rate": 1, "train_steps": 2000}
    params = parse_hparams(get_hparams(), "learning_rate=1,train_steps=7,precision=bfloat16")
    assert [type(value) for value in params.values().values()] == [*(float, *[int] * 4), *[str] * 3]


def test_spaces_and_a_comma_at_the_end_are_no_matter():
    assert parse(" train_steps = 7 ,") == {"train_steps": 7}
    assert parse("") == parse(" , ") == {}


def test_what_was_changed_before_is_kept():
    assert parse("train_steps=7", batch_size=64) == {"train_steps": 7, "batch_size": 64}


def test_the_last_of_two_assignments_counts():
    assert parse("train_steps=7,train_steps=9") == {"train_steps": 9}


def test_it_takes_what_describe_gives():
    params = get_hparams(learning_rate=0.01, precision="bfloat16")
    assert parse(describe(params)) == {"learning_rate": 0.01, "precision": "bfloat16"}
    assert describe(params).startswith("learning_rate=0.01, n_classes=10, train_steps=5000, ")


@pytest.mark.parametrize(
    "text",
    [
        *("learning_rate=1e-38", "learning_rate=1e38", "n_classes=2", "n_classes=256"),
        *("train_steps=1", f"train_steps={2**31}", "batch_size=1", f"batch_size={2**16}"),
        *("min_eval_frequency=1", f"min_eval_frequency={2**31}"),
        *("precision=float32", "precision=bfloat16", "augmentation=none", "augmentation=elastic"),
        *("learning_rate_decay=none", "learning_rate_decay=cosine"),
    ],
)
def test_the_ends_of_each_range_are_valid(text):
    name, value = text.split("=")
    found = parse_hparams(get_hparams(), text).get(name)
    assert found == type(get_hparams().get(name))(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_steps=0", "train_steps=0 has to be int in 1..2147483648"),
        ("train_steps=many", "train_steps=many has to be int in 1..2147483648"),
        ("learning_rate=0", "learning_rate=0 has to be float in 1e-38..1e+38"),
        ("precision=double", "precision=double has to be float32 or bfloat16"),
        ("augmentation=affine", "augmentation=affine has to be none or elastic"),
        ("learning_rate_decay=linear", "learning_rate_decay=linear has to be none or cosine"),
    ],
)
def test_an_invalid_value_is_told_what_it_may_be(text, message):
    with pytest.raises(ValueError) as error:
        parse(text)
    assert str(error.value) == f"hyperparameter {message}; {VALID}"


def test_an_unknown_name_is_told_the_valid_ones():
    with pytest.raises(ValueError) as error:
        parse("depth=3")
    assert str(error.value) == f"unknown hyperparameter 'depth'; {VALID}"


@pytest.mark.parametrize(
    "text",
    [
        "momentum=0.9",
        "train_steps",
        "train_steps=",
        "train_steps=0",
        f"train_steps={2**31 + 1}",
        "train_steps=1.5",
        "train_steps=many",
        "train_steps=[1]",
        "train_steps=1=2",
        "train_steps[0]=1",
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
        "precision=",
        "precision=float16",
        "augmentation=affine",
        "augmentation=Elastic",
        "learning_rate_decay=linear",
        "parse=1",
    ],
)
def test_an_invalid_text_is_a_line_that_lists_the_valid_names(text):
    with pytest.raises(ValueError, match=text.split("=")[0].split("[")[0]) as error:
        parse(text)
    assert str(error.value).endswith(VALID)
    assert "\n" not in str(error.value)


def load(directory, content):
    (directory / "hparams.json").write_text(content)
    return load_hparams(get_hparams(), str(directory))


def test_hparams_of_a_model_dir_are_those_kept_there(tmp_path):
    values = {"n_classes": 47, "learning_rate": 1}
    params = load(tmp_path, json.dumps(values))
    assert params.values() == get_hparams(**values).values()
    assert type(params.learning_rate) is float


def test_a_model_dir_of_2017_has_the_default_hparams(tmp_path):
    assert load_hparams(get_hparams(), str(tmp_path)).values() == get_hparams().values()


def test_to_json_is_what_load_takes(tmp_path):
    params = get_hparams(learning_rate=0.01, precision="bfloat16")
    assert load(tmp_path, params.to_json()).values() == params.values()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"train_steps": 2.7}', "hyperparameter train_steps=2.7 has to be int in 1..2147483648"),
        ('{"train_steps": Infinity}', "hyperparameter train_steps=inf has to be int in"),
        ('{"train_steps": "7"}', "hyperparameter train_steps=7 has to be int in"),
        ('{"train_steps": [7]}', "hyperparameter train_steps=[7] has to be int in"),
        ('{"batch_size": true}', "hyperparameter batch_size=True has to be int in 1..65536"),
        ('{"batch_size": null}', "hyperparameter batch_size=None has to be int in 1..65536"),
        ('{"batch_size": 0}', "hyperparameter batch_size=0 has to be int in 1..65536"),
        ('{"learning_rate": NaN}', "hyperparameter learning_rate=nan has to be float in"),
        ('{"precision": null}', "hyperparameter precision=None has to be float32 or bfloat16"),
        ('{"precision": "double"}', "hyperparameter precision=double has to be float32 or"),
        ('{"depth": 3}', "unknown hyperparameter 'depth'; --hparams takes (with defaults) "),
        ("", "Expecting value"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, content, problem):
    with pytest.raises(UserError) as error:
        load(tmp_path, content)
    assert str(error.value).startswith(f"{tmp_path}/hparams.json: {problem}")
    assert str(error.value).endswith("; remove it to use the defaults")
    assert "\n" not in str(error.value)
