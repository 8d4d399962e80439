import os
import types

import pytest
import tensorflow as tf
from conftest import save_checkpoints

from contrib.learn import ExportStrategy, make_export_strategy
from contrib.learn.export_strategy import check_export_strategies, run_export_strategies
from tf_estimator import Estimator, EstimatorSpec, TensorServingInputReceiver


def test_an_export_fn_gets_what_it_takes():
    def with_nothing(estimator, export_dir):
        return estimator, export_dir

    def with_checkpoint(estimator, export_dir, checkpoint_path):
        return estimator, export_dir, checkpoint_path

    def with_both(estimator, export_dir, checkpoint_path=None, eval_result=None):
        return estimator, export_dir, checkpoint_path, eval_result

    arguments = ("estimator", "directory", "model.ckpt-7", {"loss": 1})
    for function, n_arguments in ((with_nothing, 2), (with_checkpoint, 3), (with_both, 4)):
        strategy = ExportStrategy("any", function)
        assert strategy.export(*arguments) == arguments[:n_arguments]
    assert ExportStrategy("any", with_both).export("estimator", "directory") == (
        *("estimator", "directory", None, None),
    )


def test_a_result_without_a_checkpoint_is_refused():
    strategy = ExportStrategy("any", lambda estimator, export_dir, eval_result: None)
    with pytest.raises(ValueError, match="accepting eval_result must also accept checkpoint_path"):
        strategy.export(None, "directory", "model.ckpt-7", {})


def test_a_strategy_has_a_name_and_a_function():
    strategy = ExportStrategy("any", print)
    assert strategy == ExportStrategy(name="any", export_fn=print) == ("any", print)


def test_strategies_may_be_one_several_or_none():
    one, two = ExportStrategy("one", print), ExportStrategy("two", print)
    assert check_export_strategies(None) == check_export_strategies([]) == ()
    assert check_export_strategies(one) == (one,)
    assert check_export_strategies([one, two]) == check_export_strategies({one: 1, two: 2})
    for wrong in (print, ["one"], [one, None]):
        with pytest.raises((ValueError, TypeError)) as error:
            check_export_strategies(wrong)
    assert str(error.value) == (
        "`export_strategies` must be an ExportStrategy, an iterable of ExportStrategy, or `None`, "
        "found None."
    )


def test_each_strategy_has_a_directory_below_the_model_dir():
    def export_fn(estimator, export_dir, checkpoint_path, eval_result):
        calls.append((checkpoint_path, eval_result))
        return export_dir

    calls, estimator = [], types.SimpleNamespace(model_dir="model")
    strategies = [ExportStrategy(name, export_fn) for name in ("best", "last")]
    paths = run_export_strategies(strategies, estimator, "model.ckpt-7", {"loss": 1})
    assert paths == ["model/export/best", "model/export/last"]
    assert calls == [("model.ckpt-7", {"loss": 1})] * 2


@pytest.fixture
def export(tmp_path):
    """A function that exports checkpoint 7 with these arguments, each time to another version."""
    save_checkpoints(tmp_path, 7)

    def model_fn(features, labels, mode):
        weights = tf.compat.v1.get_variable("weights", [1000])
        return EstimatorSpec(mode, predictions={"sum": tf.reduce_sum(weights) + features})

    def serving_input_fn():
        features = tf.compat.v1.placeholder(tf.float32, [], "features")
        return TensorServingInputReceiver(features, features)

    estimator = Estimator(model_fn, str(tmp_path))

    def run(**arguments):
        strategy = make_export_strategy(serving_input_fn, **arguments)
        return strategy.export(estimator, str(tmp_path / "export"), f"{tmp_path}/model.ckpt-7")

    return run


def test_servo_keeps_the_newest_saved_models(export, tmp_path):
    for version in ("8", "9", "10", "notes"):
        (tmp_path / "export" / version).mkdir(parents=True)
    (tmp_path / "assets.txt").write_text("zero one")
    path = export(exports_to_keep=2, assets_extra={"names.txt": str(tmp_path / "assets.txt")})
    newest = os.path.basename(path.decode())
    assert set(os.listdir(tmp_path / "export")) == {"notes", "10", newest}
    assert {"saved_model.pb", "variables", "assets.extra"} <= set(os.listdir(path.decode()))


def test_servo_may_keep_all_and_write_text(export, tmp_path):
    for version in range(1, 8):
        (tmp_path / "export" / str(version)).mkdir(parents=True)
    path = export(exports_to_keep=None, as_text=True)
    assert len(os.listdir(tmp_path / "export")) == 8
    assert "saved_model.pbtxt" in os.listdir(path.decode())


def test_servo_refuses_what_was_for_contribs_estimator(export):
    assert make_export_strategy(None).name == "Servo"
    with pytest.raises(ValueError, match="default_output_alternative_key is not supported"):
        export(default_output_alternative_key="logits")
