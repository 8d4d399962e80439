import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import inputs
import mnist_estimator
from errors import UserError
from hparams import HParams
from tf_estimator import RunConfig


def experiment(model_dir, seed=None, **hparams):
    """The Experiment on the bundled data, evaluated on the 5,000 images of the validation split."""
    run_config = RunConfig(str(model_dir), tf_random_seed=seed)
    params = HParams(**hparams)
    return mnist_estimator.experiment_fn(
        run_config, params, inputs.BUNDLED_DATA_DIR, eval_split="validation"
    )


def scalars(events_dir):
    """{tag: steps} of the scalars in the event files of a directory, in the order of writing."""
    steps = {}
    for path in sorted(pathlib.Path(events_dir).glob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    steps.setdefault(value.tag, []).append(event.step)
    return steps


def has_graph(events_dir):
    paths = pathlib.Path(events_dir).glob("events.out.tfevents.*")
    return any(
        event.graph_def
        for path in paths
        for event in tf.compat.v1.train.summary_iterator(str(path))
    )


def test_experiment_carries_what_the_blog_lists(tmp_path):
    subject = experiment(tmp_path, train_steps=7, min_eval_frequency=3)
    assert subject.estimator.model_dir == str(tmp_path)
    assert callable(subject.train_input_fn)
    assert callable(subject.eval_input_fn)
    assert subject.train_hooks
    assert subject.eval_hooks
    assert (subject.train_steps, subject.eval_steps, subject.min_eval_frequency) == (7, None, 3)


def test_evaluates_at_every_min_eval_frequency_steps_and_at_the_end(tmp_path):
    subject = experiment(tmp_path, train_steps=10, min_eval_frequency=4)
    result = subject.train_and_evaluate()
    assert list(subject.results) == [4, 8, 10]
    assert result == subject.results[10]
    assert scalars(tmp_path / "eval_validation")["Accuracy"] == [4, 8, 10]


def test_a_run_that_has_reached_train_steps_is_evaluated(tmp_path):
    experiment(tmp_path, train_steps=5).train()
    subject = experiment(tmp_path, train_steps=5)
    assert subject.train_and_evaluate()["global_step"] == 5
    assert list(subject.results) == [5]


def test_a_larger_train_steps_goes_on_from_the_last_checkpoint(tmp_path):
    experiment(tmp_path, train_steps=5, min_eval_frequency=4).train_and_evaluate()
    subject = experiment(tmp_path, train_steps=12, min_eval_frequency=4)
    subject.train_and_evaluate()
    assert list(subject.results) == [5, 8, 12]


def test_train_does_not_evaluate(tmp_path):
    subject = experiment(tmp_path, train_steps=5, min_eval_frequency=2)
    subject.train()
    assert subject.results == {}
    assert "Accuracy" not in scalars(tmp_path / "eval_validation")


def test_evaluate_without_a_checkpoint_is_an_error(tmp_path):
    with pytest.raises(UserError, match="has no checkpoint yet; train first"):
        experiment(tmp_path).evaluate()


def test_evaluation_of_the_2017_checkpoint(model_dir_2017):
    run_config = RunConfig(str(model_dir_2017))
    subject = mnist_estimator.experiment_fn(run_config, HParams(), inputs.BUNDLED_DATA_DIR)
    assert subject.evaluate()["Accuracy"] == np.float32(0.9912)


def test_training_goes_on_from_the_2017_checkpoint_with_adams_state(model_dir_2017):
    def second_moment():
        name = "OptimizeLoss/MnistConvNet/fn5/weights/Adam_1"
        return tf.train.load_variable(str(model_dir_2017), name)

    before = second_moment()
    subject = experiment(model_dir_2017, train_steps=1001)
    result = subject.train_and_evaluate()
    assert list(subject.results) == [1000, 1001]
    assert result["Accuracy"] > 0.985
    # One step keeps 0.999 of the second moment and adds 0.001 of the gradient's square.
    np.testing.assert_array_less(0.9989 * before, second_moment() + 1e-30)
    assert np.median(second_moment() / np.maximum(before, 1e-30)) < 1.1


def test_one_seed_gives_one_result_bit_for_bit(tmp_path):
    runs = [experiment(tmp_path / name, seed=3, train_steps=30) for name in ("a", "b")]
    results = [run.train_and_evaluate() for run in runs]
    assert results[0] == results[1]
    for name, _ in tf.train.list_variables(str(tmp_path / "a")):
        values = [tf.train.load_variable(str(tmp_path / run), name) for run in ("a", "b")]
        np.testing.assert_array_equal(*values)


def test_another_seed_gives_another_result(tmp_path):
    runs = [experiment(tmp_path / str(seed), seed=seed, train_steps=5) for seed in (1, 2)]
    losses = {run.train_and_evaluate()["loss"] for run in runs}
    assert len(losses) == 2


def test_tensorboard_tags_are_the_originals(finished_run):
    model_dir, _ = finished_run
    training, evaluation = scalars(model_dir), scalars(model_dir / "eval")
    for tag in ("OptimizeLoss/loss", "OptimizeLoss/global_norm/gradient_norm"):
        assert training[tag] == [1, 101]
    assert training["global_step/sec"] == [101]
    assert evaluation["Accuracy"] == evaluation["loss"] == [50, 100, 150, 200]


def test_tensorboard_has_both_graphs(finished_run):
    model_dir, _ = finished_run
    assert has_graph(model_dir)
    assert has_graph(model_dir / "eval")


def test_the_values_used_are_kept_in_the_model_dir(finished_run):
    model_dir, _ = finished_run
    values = json.loads((model_dir / "hparams.json").read_text())
    assert values == HParams(train_steps=200, min_eval_frequency=50).values()
