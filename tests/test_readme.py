"""What README.md says of names and defaults."""

import re

import pytest
from absl import flags
from conftest import ROOT

import mnist_estimator
import predict
from mnist_estimator import get_hparams

README = (ROOT / "README.md").read_text(encoding="utf-8")


def read_table(first_cell):
    """Returns {name: default} of the table with this first cell."""
    _, _, table = README.partition(f"\n| {first_cell} | default |")
    rows = re.findall(r"^\| `-*(\w+)` \|([^|]*)\|", table.partition("\n\n")[0], re.M)
    return {name: default.strip(" `") for name, default in rows}


@pytest.mark.parametrize(
    ("script", "inherited"), [(mnist_estimator, {"verbosity": "0"}), (predict, {})]
)
def test_flags_and_their_defaults(script, inherited, set_flags):
    before = set(flags.FLAGS)
    set_flags(script)
    defaults = {name: flags.FLAGS[name].default for name in set(flags.FLAGS) - before}
    words = {"True": "true", "False": "false", "None": ""}
    texts = {name: words.get(str(default), str(default)) for name, default in defaults.items()}
    assert read_table(f"flag of `{script.__name__}.py`") == {**texts, **inherited}


def test_hyperparameters_and_their_defaults():
    defaults = {name: str(value) for name, value in get_hparams().values().items()}
    assert read_table("hyperparameter") == defaults
