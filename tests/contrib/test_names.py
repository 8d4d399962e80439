import sys
import types

import pytest

from contrib.module_paths import _import, get_package
from contrib.names import REPLACEMENTS, LostModule, LostName, explain, find


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("tensorflow.contrib", "contrib"),
        ("tensorflow.contrib.training.python.training.hparam", "contrib.training.hparam"),
        ("tensorflow.contrib.learn.python.learn", "contrib.learn"),
        ("tensorflow.contrib.learn.python.learn.estimators.run_config", "contrib.learn.run_config"),
        ("tensorflow.contrib.learn.python.learn.utils.saved_model_export_utils", "contrib.learn"),
        ("tensorflow.contrib.learn.datasets.mnist", "contrib.learn.datasets.mnist"),
        (
            "tensorflow.contrib.learn.python.learn.datasets.mnist",
            "contrib.examples.input_data",
        ),
        ("tensorflow.examples.tutorials.mnist", "contrib.examples"),
        ("tensorflow.examples.tutorials.mnist.input_data", "contrib.examples.input_data"),
        ("tensorflow.contrib.slim.python.slim.nets.vgg", "tf_slim.nets.vgg"),
    ],
)
def test_an_old_path_has_a_module(path, module):
    assert _import(path).__name__ == module


def test_a_package_that_is_not_here_is_an_error_that_names_what_to_use():
    with pytest.raises(LostModule, match=r"^tf.contrib.timeseries.\w+ is not here; use .* statsm"):
        _import("tensorflow.contrib.timeseries.model")
    with pytest.raises(LostName, match=r"^tf.contrib.bayesflow is not here; docs/programs_of_2017"):
        get_package("bayesflow")


def test_what_to_use_for_a_package_is_for_all_its_names():
    assert explain("distribute.MirroredStrategy").endswith("use tf.distribute")
    assert not any(name.startswith("tf.") for name in REPLACEMENTS)


def test_a_name_is_found_in_its_place_or_in_the_modules_in_their_order(monkeypatch):
    first, second, own = (types.ModuleType(name) for name in ("first", "second", "own"))
    first.both, second.both, second.other, own.single = 1, 2, 3, 4
    monkeypatch.setitem(sys.modules, "second", second)
    monkeypatch.setitem(sys.modules, "own", own)
    get = find("contrib.rnn", first, "second", single="own", inner="own", rnn="contrib.rnn")
    assert [get(name) for name in ("both", "other", "single", "inner")] == [1, 3, 4, own]
    assert get("rnn").__name__ == "contrib.rnn"
    with pytest.raises(LostName, match=r"tf\.contrib\.rnn\.none"):
        get("none")
