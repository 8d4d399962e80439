import numpy as np
import pytest
import tensorflow as tf
from conftest import make_tiny_estimator

from contrib.learn.training import get_hooks, get_hparams, get_input_fn, get_latest_step
from contrib.learn.training_hooks import StopHook
from contrib.training import HParams


@pytest.mark.parametrize(
    ("params", "values"),
    [
        (HParams(rate=0.1, layers=[64, 32]), {"rate": 0.1, "layers": [64, 32]}),
        ({"rate": 0.1}, {"rate": 0.1}),
        ({"layers": (64, 32), 7: None}, {"layers": [64, 32], "7": None}),
        (None, {}),
        ({"activation": np.tanh}, {}),
    ],
)
def test_params_are_as_json_holds_them(tmp_path, params, values):
    assert get_hparams(make_tiny_estimator(tmp_path, params)) == values


def test_the_latest_step_is_that_of_the_latest_checkpoint(tmp_path):
    estimator = make_tiny_estimator(tmp_path)
    assert get_latest_step(estimator) == 0
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.create_global_step()
        session.run(step.assign(7))
        tf.compat.v1.train.Saver().save(session, f"{tmp_path}/model.ckpt")
    assert get_latest_step(estimator) == 7


def test_a_checkpoint_without_a_global_step_is_at_step_0(tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("foreign", initializer=1.0)
        session.run(variable.initializer)
        tf.compat.v1.train.Saver().save(session, f"{tmp_path}/model.ckpt", global_step=7)
    assert get_latest_step(make_tiny_estimator(tmp_path)) == 0


@pytest.mark.parametrize(
    "intervals",
    [
        {"save_checkpoints_steps": 2},
        {"save_checkpoints_steps": None, "save_checkpoints_secs": 60},
        {"save_checkpoints_steps": None, "save_checkpoints_secs": None},
    ],
)
def test_the_hooks_check_then_train_then_save_then_stop(tmp_path, intervals):
    own_hook, stop_hook = tf.compat.v1.train.SessionRunHook(), StopHook()
    hooks = get_hooks(make_tiny_estimator(tmp_path, **intervals), [own_hook], [], stop_hook)
    saves = any(intervals.values())
    assert [type(hook).__name__ for hook in hooks] == [
        "CheckpointCheckHook",
        "SessionRunHook",
        *(["AlignedCheckpointSaverHook"] if saves else []),
        "StopHook",
    ]
    assert (hooks[1], hooks[-1]) == (own_hook, stop_hook)


@pytest.mark.parametrize(("seed", "step", "expected"), [(3, 0, 3), (3, 5, 8), (None, 5, None)])
def test_a_resumed_run_has_the_seed_of_its_step(tmp_path, seed, step, expected):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        session.run(tf.compat.v1.train.create_global_step().assign(step))
        tf.compat.v1.train.Saver().save(session, f"{tmp_path}/model.ckpt")
    estimator = make_tiny_estimator(tmp_path, tf_random_seed=seed)
    with tf.Graph().as_default() as graph:
        assert get_input_fn(estimator, lambda: "an input")() == "an input"
        assert graph.seed == expected
