import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import inputs
import mnist_estimator
import predict
from errors import UserError
from hooks import IteratorInitializerHook
from hparams import HParams
from tf_estimator import RunConfig


def experiment(model_dir, seed=None, export_dir=None, **hparams):
    """The Experiment on the bundled data, evaluated on the 5,000 images of the validation split."""
    run_config = RunConfig(str(model_dir), tf_random_seed=seed)
    return mnist_estimator.experiment_fn(
        run_config,
        HParams(**hparams),
        inputs.BUNDLED_DATA_DIR,
        eval_split="validation",
        export_dir=export_dir,
    )


def weights(model_dir):
    return tf.train.load_variable(str(model_dir), "MnistConvNet/fn5/weights")


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


def test_augmentation_is_of_the_training_images_only(tmp_path, mnist_data):
    subject = experiment(tmp_path, augmentation="elastic")

    def first_batch(input_fn, hooks):
        (hook,) = (hook for hook in hooks if isinstance(hook, IteratorInitializerHook))
        with tf.Graph().as_default():
            images, _ = input_fn()
            with tf.compat.v1.train.MonitoredSession(hooks=[hook]) as session:
                return {image.tobytes() for image in session.run(images)}

    originals = {image.tobytes() for image in mnist_data.train.images}
    assert not first_batch(subject.train_input_fn, subject.train_hooks) & originals
    validation = {image.tobytes() for image in mnist_data.validation.images}
    assert first_batch(subject.eval_input_fn, subject.eval_hooks) <= validation


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


def test_one_seed_with_the_same_stop_gives_one_result(tmp_path):
    for name in ("a", "b"):
        experiment(tmp_path / name, seed=3, train_steps=10).train()
        experiment(tmp_path / name, seed=3, train_steps=20).train()
    np.testing.assert_array_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))


def first_images(subject):
    """The first batch of a training session that begins now."""
    images = []

    class Recorder(tf.compat.v1.train.SessionRunHook):
        def begin(self):
            # The Estimator has made the graph, the model is not there yet.
            operations = tf.compat.v1.get_default_graph().get_operations()
            self.batch = next(op for op in operations if op.type == "IteratorGetNext").outputs[0]

        def before_run(self, run_context):
            return tf.compat.v1.train.SessionRunArgs(self.batch)

        def after_run(self, run_context, run_values):
            images.append(run_values.results)

    subject.train_hooks.append(Recorder())
    subject.train()
    return images[0]


def test_a_seeded_run_that_goes_on_sees_fresh_batches(tmp_path):
    start = first_images(experiment(tmp_path / "a", seed=3, train_steps=2))
    same_start = first_images(experiment(tmp_path / "b", seed=3, train_steps=2))
    resumed = first_images(experiment(tmp_path / "a", seed=3, train_steps=4))
    np.testing.assert_array_equal(start, same_start)
    assert (start != resumed).any()


def test_validation_has_its_own_evaluation_directory(tmp_path):
    subject = experiment(tmp_path, train_steps=2)
    subject.train_and_evaluate()
    assert scalars(tmp_path / "eval_validation")["Accuracy"] == [2]
    assert not (tmp_path / "eval").exists()


def test_a_resume_logs_which_hyperparameters_changed(tmp_path, caplog):
    experiment(tmp_path, train_steps=2).train()
    caplog.set_level("INFO", logger="absl")
    experiment(tmp_path, train_steps=3, learning_rate=0.01).train()
    assert [message for message in caplog.messages if "from here on" in message] == [
        "learning_rate is 0.01 from here on, it was 0.002",
        "train_steps is 3 from here on, it was 2",
    ]


def test_a_first_run_logs_no_change(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    experiment(tmp_path, train_steps=1, learning_rate=0.01).train()
    assert not [message for message in caplog.messages if "from here on" in message]


def test_damaged_hyperparameters_are_written_anew(tmp_path):
    experiment(tmp_path, train_steps=2).train()
    (tmp_path / "hparams.json").write_text("")
    experiment(tmp_path, train_steps=3).train()
    assert json.loads((tmp_path / "hparams.json").read_text()) == HParams(train_steps=3).values()


def test_hyperparameters_stay_if_nothing_is_left_to_train(tmp_path):
    experiment(tmp_path, train_steps=2).train()
    before = (tmp_path / "hparams.json").read_text()
    experiment(tmp_path, train_steps=1, learning_rate=0.01).train()
    assert (tmp_path / "hparams.json").read_text() == before


def test_train_returns_its_last_step(tmp_path):
    assert experiment(tmp_path, train_steps=3).train() == {"global_step": 3}


def test_an_export_dir_that_cannot_be_used_is_found_before_training(tmp_path):
    (tmp_path / "file").touch()
    subject = experiment(tmp_path / "model", export_dir=str(tmp_path / "file"), train_steps=2)
    with pytest.raises(UserError, match=f"--export_dir {tmp_path}/file is a file"):
        subject.train()
    assert not list((tmp_path / "model").glob("model.ckpt*"))


def test_training_exports_when_it_ends(tmp_path):
    subject = experiment(tmp_path / "model", export_dir=str(tmp_path / "export"), train_steps=2)
    subject.train_and_evaluate()
    [path] = (tmp_path / "export").iterdir()
    assert (path / "saved_model.pb").exists()


def test_an_export_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    subject = experiment(tmp_path / "model", export_dir=str(tmp_path / "export"), train_steps=1)
    subject.train()
    [whole] = (tmp_path / "export").iterdir()

    def export_saved_model(export_dir, *args, **kwargs):
        (tmp_path / "export" / "temp-1" / "variables").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(subject.estimator, "export_saved_model", export_saved_model)
    with pytest.raises(KeyboardInterrupt):
        subject.export()
    assert list((tmp_path / "export").iterdir()) == [whole]


def test_directories_of_tensorflows_file_systems(tmp_path):
    url = f"file://{tmp_path}"
    subject = experiment(f"{url}/model", export_dir=f"{url}/export", train_steps=3)
    assert subject.train_and_evaluate()["global_step"] == 3
    again = experiment(f"{url}/model", export_dir=f"{url}/export", train_steps=5)
    assert again.train_and_evaluate()["global_step"] == 5
    assert (tmp_path / "model" / "model.ckpt-5.index").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"model", "export"}
    estimator = predict.load_estimator(f"{url}/model")
    assert predict.find_checkpoint(estimator) == f"{url}/model/model.ckpt-5"


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
