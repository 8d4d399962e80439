import json

import pytest

from errors import UserError
from hparams import HParams
from model_dir import load_hparams, save_hparams


def test_hparams_are_kept_in_the_model_dir(tmp_path):
    params = HParams(n_classes=47, learning_rate=0.01)
    save_hparams(tmp_path, params)
    assert load_hparams(tmp_path) == params
    assert json.loads((tmp_path / "hparams.json").read_text()) == params.values()


def test_a_model_dir_of_2017_has_the_default_hparams(tmp_path):
    assert load_hparams(tmp_path) == HParams()


@pytest.mark.parametrize("content", ["", "[]", '{"depth": 3}', '{"batch_size": null}'])
def test_damaged_hparams_file_is_named(tmp_path, content):
    (tmp_path / "hparams.json").write_text(content)
    with pytest.raises(UserError, match=r"hparams\.json: "):
        load_hparams(tmp_path)
