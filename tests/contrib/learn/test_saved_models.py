import os

import pytest
import tensorflow as tf
from conftest import save_checkpoints

from contrib.learn.errors import UserError
from contrib.learn.saved_models import check_export_dir, export_saved_model, own_export_dir
from tf_estimator import Estimator, EstimatorSpec, RunConfig, TensorServingInputReceiver


def test_an_export_dir_is_made_and_left_empty(tmp_path):
    check_export_dir(str(tmp_path / "new" / "export"))
    assert os.listdir(tmp_path / "new" / "export") == []


def test_a_file_is_no_export_dir(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        check_export_dir(str(tmp_path / "file"))
    assert str(error.value) == f"--export_dir {tmp_path}/file is a file; give a directory"


def test_only_what_this_export_left_unfinished_is_removed(tmp_path):
    (tmp_path / "temp-of-another").mkdir()
    with pytest.raises(KeyboardInterrupt), own_export_dir(str(tmp_path)) as own_dir:
        os.mkdir(own_dir)
        (tmp_path / "17").mkdir()
        raise KeyboardInterrupt
    assert sorted(os.listdir(tmp_path)) == ["17", "temp-of-another"]


@pytest.mark.parametrize(
    ("name", "cause"),
    [("file/below", "{}/file is not a directory"), ("n" * 300, "File name too long")],
)
def test_a_directory_that_cannot_be_made_is_a_line(tmp_path, name, cause):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as error:
        check_export_dir(str(tmp_path / name))
    assert str(error.value) == (
        f"--export_dir {tmp_path / name}: {cause.format(tmp_path)}; give another directory"
    )


def make_estimator(name, shape=(1000,), seed=None):
    """An Estimator whose model has one variable; it keeps the seeds of its graphs in `seeds`."""

    def model_fn(features, labels, mode):
        seeds.append(tf.compat.v1.get_default_graph().seed)
        weights = tf.compat.v1.get_variable(name, shape)
        return EstimatorSpec(mode, predictions={"sum": tf.reduce_sum(weights) + features})

    seeds = []
    estimator = Estimator(model_fn, config=RunConfig("/nowhere", tf_random_seed=seed))
    return estimator, seeds


def serving_input_receiver_fn():
    features = tf.compat.v1.placeholder(tf.float32, [], "features")
    return TensorServingInputReceiver(features, features)


def test_a_checkpoint_is_exported_to_a_directory_of_its_second(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    save_checkpoints(tmp_path, 7, 8)
    estimator, seeds = make_estimator("weights", seed=3)
    export_dir = tmp_path / "export"
    path = export_saved_model(
        estimator, str(export_dir), serving_input_receiver_fn, f"{tmp_path}/model.ckpt-7"
    )
    [name] = os.listdir(export_dir)
    assert (name.isdecimal(), path) == (True, f"{export_dir}/{name}")
    assert caplog.messages[-1] == f"exported to {path}"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = tf.compat.v1.saved_model.load(session, ["serve"], path)
        [output] = model.signature_def["serving_default"].outputs.values()
        assert session.run(output.name, {"features:0": 0.5}) == 1000.5
    # Without a seed TensorFlow refuses to build random ops where ops have to be deterministic.
    assert set(seeds) == {3}


def test_a_model_with_a_saver_of_its_own_is_exported(tmp_path):
    def model_fn(features, labels, mode):
        shadow = tf.compat.v1.get_variable("shadow", [1000])
        scaffold = tf.compat.v1.train.Scaffold(saver=tf.compat.v1.train.Saver({"weights": shadow}))
        return EstimatorSpec(mode, predictions={"sum": features + shadow[0]}, scaffold=scaffold)

    save_checkpoints(tmp_path, 7)
    path = export_saved_model(
        Estimator(model_fn, "/nowhere"),
        str(tmp_path / "export"),
        serving_input_receiver_fn,
        f"{tmp_path}/model.ckpt-7",
    )
    assert "saved_model.pb" in os.listdir(path)


def test_the_checkpoint_of_another_model_is_not_exported(tmp_path):
    save_checkpoints(tmp_path, 7)
    for name, shape, words in (
        ("weights", [3], "weights has shape [1000], this model's has shape [3]"),
        ("biases", [3], "biases is missing, this model's has shape [3]"),
    ):
        estimator, _ = make_estimator(name, shape)
        with pytest.raises(UserError, match=r"model\.ckpt-7 is of another model: ") as error:
            export_saved_model(
                estimator,
                str(tmp_path / "export"),
                serving_input_receiver_fn,
                f"{tmp_path}/model.ckpt-7",
            )
        assert words in str(error.value)
    assert not (tmp_path / "export").exists()
