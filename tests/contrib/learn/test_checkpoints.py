import errno
import os

import pytest
import tensorflow as tf
from conftest import save_checkpoints

from contrib.learn import checkpoints
from contrib.learn.checkpoints import (
    CheckpointCheckHook,
    check_variables,
    find_whole_checkpoint,
    set_damaged_checkpoints_aside,
)
from contrib.learn.errors import UserError


def damage(directory, step):
    os.truncate(directory / f"model.ckpt-{step}.data-00000-of-00001", 1000)


def read_state(directory):
    return (directory / "checkpoint").read_text()


def list_names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_the_newest_whole_checkpoint_becomes_the_latest(tmp_path, caplog):
    save_checkpoints(tmp_path, 0, 80, 100, 120)
    damage(tmp_path, 100)
    damage(tmp_path, 120)
    set_damaged_checkpoints_aside(str(tmp_path))
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
        set_damaged_checkpoints_aside(str(tmp_path))
        assert list_names(tmp_path) == ["damaged"]
        assert {"checkpoint", "model.ckpt-7.index"} < set(list_names(tmp_path / "damaged"))


def test_a_missing_state_is_rebuilt_by_the_steps(tmp_path, caplog):
    save_checkpoints(tmp_path, 1000, 200)
    (tmp_path / "checkpoint").unlink()
    set_damaged_checkpoints_aside(str(tmp_path))
    assert tf.train.latest_checkpoint(str(tmp_path)) == f"{tmp_path}/model.ckpt-1000"
    assert caplog.messages == [f"{tmp_path}/checkpoint is missing or damaged"]


def test_the_checkpoint_that_the_state_names_comes_first(tmp_path):
    save_checkpoints(tmp_path, 7, 70, 60)
    before = read_state(tmp_path)
    set_damaged_checkpoints_aside(str(tmp_path))
    assert read_state(tmp_path) == before
    assert find_whole_checkpoint(str(tmp_path)) == f"{tmp_path}/model.ckpt-60"


def test_only_the_files_of_a_damaged_checkpoint_are_moved(tmp_path):
    save_checkpoints(tmp_path, 70, 7)
    damage(tmp_path, 7)
    (tmp_path / "notes_temp").mkdir()
    (tmp_path / "model.ckpt-9_temp").mkdir()  # of a run that was killed
    set_damaged_checkpoints_aside(str(tmp_path))
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
    assert checkpoints.get_step(name) == step


def make_variables(**shapes):
    for name, shape in shapes.items():
        tf.compat.v1.get_variable(name, shape)


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
    for check in (check_variables, lambda path: CheckpointCheckHook(path).begin()):
        with tf.Graph().as_default(), pytest.raises(UserError) as error:
            make_variables(**shapes)
            check(path)
        assert str(error.value) == (
            f"{path} is of another model: {words}; "
            "give another --model_dir or the hyperparameters of that model"
        )


def test_a_checkpoint_of_this_model_may_have_more(tmp_path):
    save_checkpoints(tmp_path, 7)
    with tf.Graph().as_default():
        make_variables(weights=[1000])
        check_variables(f"{tmp_path}/model.ckpt-7")


def test_a_variable_may_be_in_parts(tmp_path):
    save_checkpoints(tmp_path, 7)
    with tf.Graph().as_default():
        partitioner = tf.compat.v1.fixed_size_partitioner(2)
        with tf.compat.v1.variable_scope("", partitioner=partitioner):
            make_variables(weights=[1000])
        names = [variable.op.name for variable in tf.compat.v1.global_variables()]
        assert names == ["weights/part_0", "weights/part_1"]
        check_variables(f"{tmp_path}/model.ckpt-7")


def test_a_saver_of_the_model_may_have_other_names(tmp_path):
    save_checkpoints(tmp_path, 7)
    with tf.Graph().as_default():
        make_variables(shadow=[1000])
        [shadow] = tf.compat.v1.global_variables()
        tf.compat.v1.train.Saver({"weights": shadow})
        CheckpointCheckHook(f"{tmp_path}/model.ckpt-7").begin()


def test_without_a_checkpoint_there_is_nothing_to_check():
    with tf.Graph().as_default():
        make_variables(weights=[3])
        CheckpointCheckHook(None).begin()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_checkpoint_that_cannot_be_read_is_not_damaged(tmp_path, monkeypatch, number):
    def load_checkpoint(checkpoint):
        raise tf.errors.OpError(None, None, f"{checkpoint}.index; {os.strerror(number)}", 2)

    save_checkpoints(tmp_path, 10, 20)
    names = list_names(tmp_path)
    monkeypatch.setattr(tf.train, "load_checkpoint", load_checkpoint)
    with pytest.raises(tf.errors.OpError, match=os.strerror(number)):
        set_damaged_checkpoints_aside(str(tmp_path))
    assert list_names(tmp_path) == names
