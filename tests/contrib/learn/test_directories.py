import errno
import json
import os
import platform
import shutil
import time
import types

import filelock
import pytest
import tensorflow as tf

from contrib.learn.directories import (
    check_free_space,
    list_names,
    load_hparams,
    lock,
    save_hparams,
)
from contrib.learn.errors import UserError


def test_hparams_are_kept_in_the_model_dir(tmp_path):
    values = {"n_classes": 47, "learning_rate": 0.01, "layers": [64, 32], "name": None}
    save_hparams(str(tmp_path), values)
    assert load_hparams(str(tmp_path)) == values
    assert json.loads((tmp_path / "hparams.json").read_text()) == values


def test_a_model_dir_of_2017_has_none(tmp_path):
    assert load_hparams(str(tmp_path)) == {}


def test_the_file_of_hyperparameters_is_replaced_as_a_whole(tmp_path, monkeypatch):
    save_hparams(str(tmp_path), {"n_classes": 10})
    monkeypatch.setattr(tf.io.gfile, "rename", lambda *args, **kwargs: None)  # killed before it
    save_hparams(str(tmp_path), {"n_classes": 47})
    assert load_hparams(str(tmp_path)) == {"n_classes": 10}
    monkeypatch.undo()
    save_hparams(str(tmp_path), {"n_classes": 47})
    assert os.listdir(tmp_path) == ["hparams.json"]
    assert (tmp_path / "hparams.json").read_text() == '{"n_classes": 47}\n'


@pytest.mark.parametrize(
    ("content", "problem"), [("", "Expecting value"), ("[]", "not a JSON"), ("null", "not a JSON")]
)
def test_damaged_hparams_file_is_named(tmp_path, content, problem):
    (tmp_path / "hparams.json").write_text(content)
    with pytest.raises(UserError) as error:
        load_hparams(str(tmp_path))
    assert str(error.value).startswith(f"{tmp_path}/hparams.json: {problem}")
    assert str(error.value).endswith("; remove it to use the defaults")


def test_a_file_has_no_hparams(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        load_hparams(str(tmp_path / "file"))
    assert str(error.value) == (
        f"{tmp_path}/file/hparams.json: Not a directory; give another --model_dir"
    )


def test_names_are_found_by_their_start_and_end(tmp_path):
    for name in ("model.ckpt-7.index", "model.ckpt-7.data", "a.index"):
        (tmp_path / name).touch()
    (tmp_path / "model.ckpt-9.index").mkdir()
    assert sorted(list_names(str(tmp_path), "model.ckpt-", ".index")) == [
        *("model.ckpt-7.index", "model.ckpt-9.index"),
    ]
    assert len(list_names(str(tmp_path), "model.ckpt-")) == 3
    assert list_names(str(tmp_path / "nothing"), "model.ckpt-") == []


def test_the_lock_is_made_held_and_released(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waits for the lock"))
    directory = tmp_path / "new" / "model"
    holder = f"{os.getpid()} on {platform.node()}"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), lock(str(directory)):
            assert sorted(os.listdir(directory)) == ["lock", "lock_holder"]
            assert (directory / "lock_holder").read_text() == holder
            with pytest.raises(UserError) as refused:
                lock(str(directory)).__enter__()
            raise KeyboardInterrupt
    assert str(refused.value) == (
        f"--model_dir {directory}: process {holder} is training there; "
        "wait for its end or give another directory"
    )


def test_a_file_is_no_model_dir(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        lock(str(tmp_path / "file")).__enter__()
    assert str(error.value) == f"--model_dir {tmp_path}/file is a file; give a directory"


@pytest.mark.parametrize(
    ("name", "cause"),
    [("file/below", "{}/file is not a directory"), ("n" * 300, "File name too long")],
)
def test_a_directory_that_cannot_be_made_is_a_line(tmp_path, name, cause):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        lock(str(tmp_path / name)).__enter__()
    assert str(error.value) == (
        f"--model_dir {tmp_path / name}: {cause.format(tmp_path)}; give another directory"
    )


def test_a_lock_that_cannot_be_written_is_an_error(tmp_path, monkeypatch, caplog):
    def refuse(*args, **kwargs):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.raises(OSError, match="Permission denied"):
        lock(str(tmp_path)).__enter__()
    assert caplog.messages == []


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


def test_a_run_that_has_just_begun_has_no_name(tmp_path):
    with lock(str(tmp_path)):
        for left in ("empty", "missing"):
            (tmp_path / "lock_holder").write_text("")
            if left == "missing":
                (tmp_path / "lock_holder").unlink()
            with pytest.raises(UserError, match="process that has just begun is training there"):
                lock(str(tmp_path)).__enter__()


def test_a_full_disk_is_an_error_of_the_path(tmp_path, monkeypatch):
    asked = []
    usage = types.SimpleNamespace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or usage)
    for path in (str(tmp_path), f"file://{tmp_path}"):
        with pytest.raises(OSError, match="No space left on device") as error:
            check_free_space(path)
        assert (error.value.errno, error.value.filename) == (errno.ENOSPC, path)
    check_free_space("gs://a/eval")
    check_free_space(str(tmp_path / "nothing"))
    usage.free = 1
    check_free_space(str(tmp_path))
    assert asked == [str(tmp_path)] * 3
