import json

import numpy as np
import pytest

from contrib.training import HParams
from contrib.training.hparam import parse_values


@pytest.fixture
def hparams():
    return HParams(aaa=1, b=2.0, c_c="relu6", d=True, layers=[64, 32], rates=[0.5, 0.1])


def test_any_names_are_attributes_with_their_values():
    hparams = HParams(rate=0.1, layers=[64, 32], name="adam", train=True)
    assert (hparams.rate, hparams.layers, hparams.name, hparams.train) == (
        *(0.1, [64, 32], "adam", True),
    )
    values = {"rate": 0.1, "layers": [64, 32], "name": "adam", "train": True}
    assert hparams.values() == values
    assert HParams(**values).values() == values
    assert HParams().values() == {}


def test_parse_sets_each_value_as_its_type_and_returns_the_object(hparams):
    assert hparams.parse("aaa=-12,b=3,c_c=relu4,d=false,layers=[1, 2,3],rates=[1]") is hparams
    expected = {"aaa": -12, "b": 3.0, "c_c": "relu4", "d": False}
    expected.update(layers=[1, 2, 3], rates=[1.0])
    assert hparams.values() == expected
    assert [type(value) for value in hparams.values().values()] == [
        *(int, float, str, bool, list, list),
    ]
    assert type(hparams.rates[0]) is float


def test_parse_leaves_what_it_does_not_name(hparams):
    before = hparams.values()
    hparams.parse("")
    assert hparams.values() == before
    hparams.parse("b=1.5")
    assert hparams.values() == {**before, "b": 1.5}


def test_parse_takes_spaces_and_a_comma_at_the_end(hparams):
    hparams.parse("aaa = 7, b =3.5,")
    assert (hparams.aaa, hparams.b) == (7, 3.5)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("False", False), ("0", False)],
)
def test_a_bool_has_six_words(hparams, text, value):
    hparams.d = not value
    assert hparams.parse(f"d={text}").d is value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("xyz=1", "Unknown hyperparameter type for xyz"),
        ("aaa=relu", "Could not parse hparam 'aaa' of type 'int' with value 'relu' in aaa=relu"),
        ("aaa=1.5", "Could not parse hparam 'aaa' of type 'int' with value '1.5' in aaa=1.5"),
        ("b=many", "Could not parse hparam 'b' of type 'float' with value 'many' in b=many"),
        ("d=2", "Could not parse hparam 'd' of type 'bool' with value '2' in d=2"),
        ("layers=[1,x]", "Could not parse hparam 'layers' of type 'int' with value '1,x' in "),
        ("layers=1", "Must pass a list for multi-valued parameter: layers"),
        ("aaa=[1]", "Must not pass a list for single-valued parameter: aaa"),
        ("aaa=", "Could not parse hparam 'aaa' of type 'int' with value '' in aaa="),
        ("aaa", "Malformed hyperparameter value: aaa"),
        ("aaa=1,,b=2", "Malformed hyperparameter value: ,b=2"),
        ("aaa=1,aaa=2", "Multiple assignments to variable 'aaa' in aaa=1,aaa=2"),
    ],
)
def test_what_cannot_be_parsed_is_an_error_and_sets_nothing(hparams, text, message):
    before = hparams.values()
    with pytest.raises(ValueError) as error:
        hparams.parse(text)
    assert str(error.value).startswith(message)
    assert hparams.values() == before


def test_set_hparam_keeps_the_type(hparams):
    hparams.set_hparam("b", 3)
    hparams.set_hparam("rates", [1, 2])
    assert (hparams.b, hparams.rates) == (3.0, [1.0, 2.0])
    assert {type(value) for value in (hparams.b, *hparams.rates)} == {float}
    hparams.set_hparam("aaa", np.int64(7))
    hparams.set_hparam("b", np.float32(0.5))
    assert [(type(value), value) for value in (hparams.aaa, hparams.b)] == [(int, 7), (float, 0.5)]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("aaa", 2.0, "Could not cast hparam 'aaa' of type '<class 'int'>' from 2.0"),
        ("aaa", True, "Could not cast hparam 'aaa' of type '<class 'int'>' from True"),
        ("aaa", "2", "Could not cast hparam 'aaa' of type '<class 'int'>' from '2'"),
        ("b", True, "Could not cast hparam 'b' of type '<class 'float'>' from True"),
        ("c_c", 2, "Could not cast hparam 'c_c' of type '<class 'str'>' from 2"),
        ("d", 1, "Could not cast hparam 'd' of type '<class 'bool'>' from 1"),
        ("rates", ["x"], "Could not cast hparam 'rates' of type '<class 'float'>' from 'x'"),
        ("rates", 0.5, "Must pass a list for multi-valued parameter: rates"),
        ("aaa", [1], "Must not pass a list for single-valued parameter: aaa"),
    ],
)
def test_a_value_of_another_type_is_an_error(hparams, name, value, message):
    before = hparams.values()
    for change in (
        lambda: hparams.set_hparam(name, value),
        lambda: hparams.override_from_dict({name: value}),
        lambda: hparams.parse_json(json.dumps({name: value})),
    ):
        with pytest.raises(ValueError) as error:
            change()
        assert str(error.value) == message
    assert hparams.values() == before


def test_an_unknown_name_cannot_be_set(hparams):
    with pytest.raises(KeyError, match="xyz"):
        hparams.set_hparam("xyz", 1)
    with pytest.raises(KeyError, match="xyz"):
        hparams.override_from_dict({"xyz": 1})
    assert "xyz" not in hparams


def test_override_from_dict_returns_the_object(hparams):
    assert hparams.override_from_dict({"aaa": 2, "layers": [8]}) is hparams
    assert (hparams.aaa, hparams.layers) == (2, [8])
    assert hparams.set_from_map({"aaa": 3}).aaa == 3  # the name in TensorFlow 1.3


def test_add_hparam_adds_a_name_with_its_type(hparams):
    hparams.add_hparam("momentum", 0.9)
    assert hparams.momentum == 0.9
    assert hparams.parse("momentum=1").momentum == 1.0
    with pytest.raises(ValueError, match="Could not parse hparam 'momentum' of type 'float'"):
        hparams.parse("momentum=x")


def test_a_value_of_none_takes_any_value():
    hparams = HParams(seed=None)
    hparams.set_hparam("seed", 7)
    assert hparams.seed == 7


@pytest.mark.parametrize("name", ["aaa", "values", "parse", "_hparam_types"])
def test_a_name_that_is_taken_cannot_be_added(hparams, name):
    with pytest.raises(ValueError, match=f"Hyperparameter name is reserved: {name}"):
        hparams.add_hparam(name, 1)
    with pytest.raises(ValueError, match="Hyperparameter name is reserved: values"):
        HParams(values=1)


def test_an_empty_list_has_no_type():
    with pytest.raises(ValueError, match="Multi-valued hyperparameters cannot be empty: layers"):
        HParams(layers=[])


def test_del_hparam_removes_a_name(hparams):
    hparams.del_hparam("aaa")
    hparams.del_hparam("xyz")
    assert "aaa" not in hparams
    assert not hasattr(hparams, "aaa")
    hparams.add_hparam("aaa", "now a text")
    assert hparams.aaa == "now a text"


def test_in_tells_the_hyperparameters(hparams):
    assert "aaa" in hparams
    assert "xyz" not in hparams
    assert "parse" not in hparams


def test_get_takes_a_default_of_the_same_type(hparams):
    assert hparams.get("aaa") == hparams.get("aaa", 5) == 1
    assert hparams.get("layers", [1]) == [64, 32]
    assert hparams.get("b", 3) == 2.0
    assert hparams.get("xyz") is None
    assert hparams.get("xyz", "any") == "any"
    with pytest.raises(ValueError, match=r"Hparam 'layers' is incompatible with default=3"):
        hparams.get("layers", 3)
    with pytest.raises(ValueError, match=r"Hparam 'aaa' is incompatible with default=\[3\]"):
        hparams.get("aaa", [3])
    with pytest.raises(ValueError, match="Could not cast hparam 'aaa'"):
        hparams.get("aaa", "x")


def test_parse_json_takes_what_to_json_gives(hparams):
    text = hparams.to_json()
    assert json.loads(text) == hparams.values()
    other = HParams(aaa=0, b=0.0, c_c="", d=False, layers=[0], rates=[0.0])
    assert other.parse_json(text) is other
    assert other.values() == hparams.values()
    assert HParams(b=1, a=2).to_json(indent=1, separators=(";", ":"), sort_keys=True) == (
        '{\n "a":2;\n "b":1\n}'
    )


def test_text_has_all_values(hparams):
    assert str(HParams(rate=0.5, name="adam")) == "rate=0.5,name=adam"
    assert HParams(rate=0.0, name="").parse("rate=0.5,name=adam").values() == {
        "rate": 0.5,
        "name": "adam",
    }
    assert repr(HParams(rate=0.5, name="adam")) == "HParams([('name', 'adam'), ('rate', 0.5)])"


def test_a_model_structure_may_go_with_them():
    hparams = HParams(model_structure="a graph", aaa=1)
    assert hparams.get_model_structure() == "a graph"
    hparams.set_model_structure("another")
    assert hparams.get_model_structure() == "another"
    assert hparams.values() == {"aaa": 1}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("x=5,name=adam", {"x": 5, "name": "adam"}),
        ("layers=[1,2]", {"layers": [1, 2]}),
        ("layers=[ 1 , 2 ]", {"layers": [1, 2]}),
        ("layers=[]", {"layers": []}),
        ("layers[0]=1", {"layers": {0: 1}}),
        ("layers[1]=10,layers[0]=20,x=3", {"layers": {1: 10, 0: 20}, "x": 3}),
        ("a.b=7", {"a.b": 7}),
    ],
)
def test_parse_values_takes_values_lists_and_indices(text, values):
    types = {"x": int, "name": str, "layers": int, "a.b": int}
    assert parse_values(text, types) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers[0]=1,layers[0]=2", "Multiple assignments to variable 'layers[0]' in"),
        ("layers=[1,2],layers[0]=2", "Multiple assignments to variable 'layers' in"),
        ("layers[0]=1,layers=[1,2]", "Multiple assignments to variable 'layers' in"),
        ("layers[0]=[1,2]", "Assignment of a list to a list index."),
        ("layers[x]=1", "Malformed hyperparameter value: layers[x]=1"),
        ("layers[0]=x", "Could not parse hparam 'layers' of type 'int' with value 'x' in"),
        ("x[=1", "Malformed hyperparameter value: x[=1"),
    ],
)
def test_parse_values_refuses_what_contradicts_itself(text, message):
    with pytest.raises(ValueError) as error:
        parse_values(text, {"layers": int, "x": int})
    assert str(error.value).startswith(message)


def test_parse_values_may_pass_over_unknown_names():
    types = {"x": int}
    assert parse_values("y=[1],x=2,z[0]=3", types, ignore_unknown=True) == {"x": 2}
    with pytest.raises(ValueError, match="Unknown hyperparameter type for y"):
        parse_values("x=2,y=1", types)


def test_a_protocol_buffer_is_told_what_to_pass():
    with pytest.raises(AssertionError, match="pass names and values"):
        HParams(hparam_def=object())
