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
from conftest import save_checkpoints

from contrib.learn import checkpoints as model_dir
from contrib.learn.errors import UserError
from mnist_estimator import get_hparams
from contrib.learn.checkpoints import find_whole_checkpoint, load_hparams, lock, save_hparams
from tf_estimator import Estimator, EstimatorSpec, RunConfig


def damage(directory, step):
    os.truncate(directory / f"model.ckpt-{step}.data-00000-of-00001", 1000)


def read_state(directory):
    return (directory / "checkpoint").read_text()


def list_names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_hparams_are_kept_in_the_model_dir(tmp_path):
    params = get_hparams(n_classes=47, learning_rate=0.01)
    save_hparams(tmp_path, params)
    assert load_hparams(tmp_path) == params
    assert json.loads((tmp_path / "hparams.json").read_text()) == params.values()


def test_a_model_dir_of_2017_has_the_default_hparams(tmp_path):
    assert load_hparams(tmp_path) == get_hparams()


def test_the_file_of_hyperparameters_is_replaced_as_a_whole(tmp_path, monkeypatch):
    save_hparams(tmp_path, get_hparams())
    monkeypatch.setattr(tf.io.gfile, "rename", lambda *args, **kwargs: None)  # killed before it
    save_hparams(tmp_path, get_hparams(n_classes=47))
    assert load_hparams(tmp_path) == get_hparams()
    monkeypatch.undo()
    save_hparams(tmp_path, get_hparams(n_classes=47))
    assert list_names(tmp_path) == ["hparams.json"]
    assert (tmp_path / "hparams.json").read_text() == get_hparams(n_classes=47).to_json() + "\n"


@pytest.mark.parametrize("content", ["", "[]", "null", '{"depth": 3}', '{"batch_size": null}'])
def test_damaged_hparams_file_is_named(tmp_path, content):
    (tmp_path / "hparams.json").write_text(content)
    with pytest.raises(UserError) as error:
        load_hparams(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/hparams.json: ")
    assert str(error.value).endswith("; remove it to use the defaults")


def test_the_lock_is_made_held_and_released(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waits for the lock"))
    directory = tmp_path / "new" / "model"
    holder = f"{os.getpid()} on {platform.node()}"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), lock(str(directory)):
            assert list_names(directory) == ["lock", "lock_holder"]
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


def test_the_newest_whole_checkpoint_becomes_the_latest(tmp_path, caplog):
    save_checkpoints(tmp_path, 0, 80, 100, 120)
    damage(tmp_path, 100)
    damage(tmp_path, 120)
    model_dir.set_damaged_checkpoints_aside(str(tmp_path))
    # Names without a directory, so that all of it can be moved.
    assert read_state(tmp_path) == (
        'model_checkpoint_path: "model.ckpt-80"\n'
        'all_model_checkpoint_paths: "model.ckpt-0"\n'
        'all_model_checkpoint_paths: "model.ckpt-80"\n'
    )
    assert list_names(tmp_path / "damaged") == [
        *("model.ckpt-100.data-00000-of-00001", "model.ckpt-100.index"),
        *("model.ckpt-120.data-00000-of-00001", "model.ckpt-120.index"),
    ]
    starts = [message.partition(" is damaged: ")[0] for message in caplog.messages]
    assert starts == [f"{tmp_path}/model.ckpt-120", f"{tmp_path}/model.ckpt-100"]
    assert caplog.messages[0].endswith("; it goes to damaged/")


def test_without_a_whole_checkpoint_nothing_is_called_the_latest(tmp_path):
    for _ in range(2):  # what lies in damaged/ is no obstacle
        save_checkpoints(tmp_path, 7)
        damage(tmp_path, 7)
        model_dir.set_damaged_checkpoints_aside(str(tmp_path))
        assert list_names(tmp_path) == ["damaged"]
        assert {"checkpoint", "model.ckpt-7.index"} < set(list_names(tmp_path / "damaged"))


def test_a_missing_state_is_rebuilt_by_the_steps(tmp_path, caplog):
    save_checkpoints(tmp_path, 1000, 200)
    (tmp_path / "checkpoint").unlink()
    model_dir.set_damaged_checkpoints_aside(str(tmp_path))
    assert tf.train.latest_checkpoint(str(tmp_path)) == f"{tmp_path}/model.ckpt-1000"
    assert caplog.messages == [f"{tmp_path}/checkpoint is missing or damaged"]


def test_the_checkpoint_that_the_state_names_comes_first(tmp_path):
    save_checkpoints(tmp_path, 7, 70, 60)
    before = read_state(tmp_path)
    model_dir.set_damaged_checkpoints_aside(str(tmp_path))
    assert read_state(tmp_path) == before
    assert find_whole_checkpoint(str(tmp_path)) == f"{tmp_path}/model.ckpt-60"


def test_only_the_files_of_a_damaged_checkpoint_are_moved(tmp_path):
    save_checkpoints(tmp_path, 70, 7)
    damage(tmp_path, 7)
    (tmp_path / "notes_temp").mkdir()
    (tmp_path / "model.ckpt-9_temp").mkdir()  # of a run that was killed
    model_dir.set_damaged_checkpoints_aside(str(tmp_path))
    assert list_names(tmp_path) == [
        *("checkpoint", "damaged", "model.ckpt-70.data-00000-of-00001", "model.ckpt-70.index"),
        "notes_temp",
    ]


def test_a_reader_takes_the_newest_whole_checkpoint_and_moves_nothing(tmp_path, caplog):
    save_checkpoints(tmp_path, 10, 20, 30)
    damage(tmp_path, 30)
    before = list_names(tmp_path), read_state(tmp_path)
    assert find_whole_checkpoint(str(tmp_path)) == f"{tmp_path}/model.ckpt-20"
    assert (list_names(tmp_path), read_state(tmp_path)) == before
    [message] = caplog.messages
    assert message.startswith(f"{tmp_path}/model.ckpt-30 is damaged: ")
    assert message.endswith(f"; {tmp_path}/model.ckpt-20 is used instead")


def test_a_reader_without_a_whole_checkpoint_is_told_what_to_do(tmp_path):
    with pytest.raises(UserError) as error:
        find_whole_checkpoint(str(tmp_path / "nothing"))
    assert str(error.value) == (
        f"{tmp_path}/nothing has no checkpoint yet; train first: "
        f"python mnist_estimator.py --model_dir {tmp_path}/nothing"
    )
    save_checkpoints(tmp_path, 10, 20)
    damage(tmp_path, 10)
    damage(tmp_path, 20)
    with pytest.raises(UserError) as error:
        find_whole_checkpoint(str(tmp_path))
    assert str(error.value).startswith(f"{tmp_path}/model.ckpt-20 is damaged: ")
    assert str(error.value).endswith("; train on to replace it")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "step"), [("/a/model.ckpt-120", 120), ("model.ckpt", 0), ("/a-7/model.ckpt", 0)]
)
def test_the_step_in_the_name_of_a_checkpoint(name, step):
    assert model_dir.get_step(name) == step


def another_model(**shapes):
    def make_variables(features, labels, mode, config):
        for name, shape in shapes.items():
            tf.compat.v1.get_variable(name, shape)
        return EstimatorSpec(mode, predictions=tf.zeros([1]))

    return Estimator(make_variables, config=RunConfig("/nowhere"))


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"weights": [3]}, "weights has shape [1000], this model's has shape [3]"),
        ({"biases": [3]}, "biases is missing, this model's has shape [3]"),
    ],
)
def test_a_checkpoint_of_another_model_says_where_they_differ(tmp_path, shapes, words):
    save_checkpoints(tmp_path, 7)
    path = f"{tmp_path}/model.ckpt-7"
    with pytest.raises(UserError) as error:
        model_dir.check_checkpoint(path, another_model(**shapes), lambda: ({}, None), "infer")
    assert str(error.value) == (
        f"{path} is of another model: {words}; "
        "give another --model_dir or the hyperparameters of that model"
    )


def test_a_full_disk_is_an_error_of_the_path(monkeypatch):
    asked = []
    usage = types.SimpleNamespace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or usage)
    for path in ("/a/eval", "file:///a/eval"):
        with pytest.raises(OSError, match="No space left on device") as error:
            model_dir.check_free_space(path)
        assert (error.value.errno, error.value.filename) == (errno.ENOSPC, path)
    model_dir.check_free_space("gs://a/eval")
    usage.free = 1
    model_dir.check_free_space("/a/eval")
    assert asked == ["/a/eval"] * 3


def test_an_export_dir_is_made_and_left_empty(tmp_path):
    model_dir.check_export_dir(str(tmp_path / "new" / "export"))
    assert list_names(tmp_path / "new" / "export") == []


@pytest.mark.parametrize(
    ("name", "cause"),
    [("file/below", "{}/file is not a directory"), ("n" * 300, "File name too long")],
)
def test_a_directory_that_cannot_be_made_is_a_line(tmp_path, name, cause):
    (tmp_path / "file").touch()
    for flag, make in (
        ("model_dir", lambda path: lock(path).__enter__()),
        ("export_dir", model_dir.check_export_dir),
    ):
        with pytest.raises(UserError) as error:
            make(str(tmp_path / name))
        assert str(error.value) == (
            f"--{flag} {tmp_path / name}: {cause.format(tmp_path)}; give another directory"
        )


def test_a_run_that_has_just_begun_has_no_name(tmp_path):
    with lock(str(tmp_path)):
        for left in ("empty", "missing"):
            (tmp_path / "lock_holder").write_text("")
            if left == "missing":
                (tmp_path / "lock_holder").unlink()
            with pytest.raises(UserError, match="process that has just begun is training there"):
                lock(str(tmp_path)).__enter__()


def test_a_file_is_no_export_dir(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        model_dir.check_export_dir(str(tmp_path / "file"))
    assert str(error.value) == f"--export_dir {tmp_path}/file is a file; give a directory"


def test_only_what_this_export_left_unfinished_is_removed(tmp_path):
    (tmp_path / "temp-of-another").mkdir()
    with pytest.raises(KeyboardInterrupt), model_dir.own_export_dir(str(tmp_path)) as own_dir:
        os.mkdir(own_dir)
        (tmp_path / "17").mkdir()
        raise KeyboardInterrupt
    assert list_names(tmp_path) == ["17", "temp-of-another"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_checkpoint_that_cannot_be_read_is_not_damaged(tmp_path, monkeypatch, number):
    def load_checkpoint(checkpoint):
        raise tf.errors.OpError(None, None, f"{checkpoint}.index; {os.strerror(number)}", 2)

    save_checkpoints(tmp_path, 10, 20)
    names = list_names(tmp_path)
    monkeypatch.setattr(tf.train, "load_checkpoint", load_checkpoint)
    with pytest.raises(tf.errors.OpError, match=os.strerror(number)):
        model_dir.set_damaged_checkpoints_aside(str(tmp_path))
    assert list_names(tmp_path) == names
