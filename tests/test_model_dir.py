import errno
import json
import os

import filelock
import pytest

from errors import UserError
from hparams import HParams
from model_dir import load_hparams, lock, save_hparams


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


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, caplog, number):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with lock(str(tmp_path)):
        pass
    assert caplog.messages == [
        f"{tmp_path}/lock can't be locked there: let no other process train in it"
    ]


def test_an_object_store_has_no_locks(caplog):
    with lock("ram://model"):
        pass
    assert "ram://model/lock can't be locked there" in caplog.text


def test_a_url_of_a_local_directory_is_locked(tmp_path):
    with lock(f"file://{tmp_path}"), pytest.raises(UserError, match=f"process {os.getpid()} on "):
        lock(str(tmp_path)).__enter__()
