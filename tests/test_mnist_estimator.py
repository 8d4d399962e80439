import collections
import json
import re
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, first_batch, run_script

import hooks
import inputs
import mnist_estimator
import model
import summaries
from contrib.learn import Evaluation, Experiment, RunConfig
from contrib.learn.datasets import mnist
from contrib.learn.errors import UserError
from mnist_estimator import SCHEDULES, get_hparams
from tf_estimator import ModeKeys

RESULT = {"global_step": 1200, "Accuracy": np.float32(0.99166)}


class StandIn(Experiment):
    """Keeps which schedule is run, and returns what an Experiment does."""

    def __init__(self, run_config, call):
        super().__init__(types.SimpleNamespace(config=run_config), None, None)
        results = {"train_and_evaluate": (RESULT, []), "train": self.estimator, "evaluate": RESULT}
        for name in SCHEDULES:
            setattr(self, name, lambda name=name: call.update(schedule=name) or results.get(name))


@pytest.fixture
def run(set_flags, monkeypatch):
    """A function that runs the script with flags, up to its Experiment.

    It returns the arguments of `experiment_fn`, or of `export_experiment_fn`, with the schedule.
    """
    calls = []

    def experiment_fn(run_config, params, **arguments):
        calls.append({"run_config": run_config, "params": params.values(), **arguments})
        return StandIn(run_config, calls[-1])

    def run_with(*arguments):
        set_flags(mnist_estimator, *arguments)
        mnist_estimator.check_flags(["mnist_estimator.py"])
        mnist_estimator.run_experiment([])
        return calls.pop()

    monkeypatch.setattr(mnist_estimator, "experiment_fn", experiment_fn)
    monkeypatch.setattr(mnist_estimator, "export_experiment_fn", experiment_fn)
    monkeypatch.setattr("contrib.learn.training.get_latest_step", lambda estimator: 1200)
    return run_with


def test_defaults_of_the_flags(run, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    call = run()
    run_config = call.pop("run_config")
    assert (run_config.model_dir, run_config.tf_random_seed) == ("./mnist_training", None)
    assert call == {
        "params": get_hparams().values(),
        "data_dir": "./mnist_data",
        "eval_split": "test",
        "summary_images": True,
        "export_dir": None,
        "schedule": "train_and_evaluate",
    }


@pytest.mark.parametrize(
    ("flag", "name", "value"),
    [
        (
            "--hparams=batch_size=64,n_classes=47",
            "params",
            get_hparams(batch_size=64, n_classes=47).values(),
        ),
        ("--data_dir=data", "data_dir", "data"),
        ("--data_dir=~/data", "data_dir", "/home/roelants/data"),
        ("--eval_split=validation", "eval_split", "validation"),
        ("--nosummary_images", "summary_images", False),
        ("--export_dir=export", "export_dir", "export"),
        ("--export_dir=~/export", "export_dir", "/home/roelants/export"),
        *((f"--schedule={name}", "schedule", name) for name in SCHEDULES[:3]),
    ],
)
def test_each_flag_reaches_the_experiment(run, monkeypatch, flag, name, value):
    monkeypatch.setenv("HOME", "/home/roelants")
    assert run(flag)[name] == value


def test_the_schedules_are_those_of_the_readme_the_default_first(set_flags):
    assert SCHEDULES == ("train_and_evaluate", "train", "evaluate", "export")
    assert set_flags(mnist_estimator).schedule == "train_and_evaluate"


def test_an_export_gets_no_data(run):
    call = run("--schedule=export", "--export_dir=export")
    assert set(call) == {"run_config", "params", "export_dir", "schedule"}
    assert (call["export_dir"], call["schedule"]) == ("export", "export")


def test_checkpoints_are_saved_as_often_as_evaluations_are_asked_for(run):
    run_config = run("--hparams=min_eval_frequency=30")["run_config"]
    assert (run_config.save_checkpoints_steps, run_config.save_checkpoints_secs) == (30, None)


def test_model_dir_and_seed_reach_the_run_config(run, monkeypatch):
    monkeypatch.setenv("HOME", "/home/roelants")
    run_config = run("--model_dir=~/model", "--seed=7")["run_config"]
    assert (run_config.model_dir, run_config.tf_random_seed) == ("/home/roelants/model", 7)


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_the_ends_of_the_range_of_seeds_are_valid(set_flags, seed):
    assert set_flags(mnist_estimator, f"--seed={seed}").seed == seed


def test_verbosity_is_that_of_a_user_by_default(set_flags):
    assert set_flags(mnist_estimator).verbosity == 0
    assert set_flags(mnist_estimator, "--verbosity=-1").verbosity == -1


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("train", get_hparams(batch_size=64)),
        ("train_and_evaluate", get_hparams(batch_size=64)),
        ("evaluate", get_hparams(batch_size=64, n_classes=47)),
        ("export", get_hparams(batch_size=64, n_classes=47)),
    ],
)
def test_only_what_does_not_train_takes_the_hyperparameters_that_are_kept(
    run, tmp_path, schedule, expected
):
    (tmp_path / "hparams.json").write_text('{"n_classes": 47, "batch_size": 32}')
    flags = [f"--model_dir={tmp_path}", "--hparams=batch_size=64", f"--schedule={schedule}"]
    flags += ["--export_dir=export"] if schedule == "export" else []
    assert run(*flags)["params"] == expected.values()


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("train_and_evaluate", "final accuracy 0.9917"),
        ("train", "trained to step 1,200"),
        ("evaluate", None),
        ("export", None),
    ],
)
def test_what_trains_says_what_it_did(run, monkeypatch, caplog, schedule, words):
    moments = iter([100, 174.6])
    clock = types.SimpleNamespace(monotonic=lambda: next(moments))
    monkeypatch.setattr(mnist_estimator, "time", clock)
    flags = ["--export_dir=export"] if schedule == "export" else []
    caplog.set_level("INFO", logger="absl")
    run("--model_dir=my model", f"--schedule={schedule}", *flags)
    expected = (
        f"done in 1 min 15 s: {words}\n"
        "  the model:     'my model'\n"
        "  watch it:      tensorboard --logdir 'my model'\n"
        "  read a digit:  python predict.py --model_dir 'my model' image.png"
    )
    assert caplog.messages == ([expected] if words else [])


def test_a_task_of_a_cluster_without_a_result_says_nothing(run, monkeypatch, caplog):
    monkeypatch.setitem(globals(), "RESULT", None)
    caplog.set_level("INFO", logger="absl")
    run()
    assert caplog.messages == []


@pytest.mark.parametrize("error", [UserError("a line"), OSError(28, "No space left", "file")])
def test_an_error_of_the_users_is_a_line(run, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(mnist_estimator, "experiment_fn", fail)
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == f"mnist_estimator.py: {error}"


def test_a_task_of_a_cluster_has_its_run_config(run, monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}
    tf_config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config))
    run_config = run("--seed=7")["run_config"]
    assert (run_config.task_type, run_config.tf_random_seed) == ("worker", 8)
    assert run_config.keep_checkpoint_max == 50
    with pytest.raises(SystemExit) as end:
        run("--schedule=train")
    assert end.value.code == (
        "mnist_estimator.py: TF_CONFIG is for --schedule train_and_evaluate; "
        "unset TF_CONFIG to run --schedule=train"
    )
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(SystemExit, match="TF_CONFIG is not JSON"):
        mnist_estimator.run_experiment(["mnist_estimator.py"])
    monkeypatch.setenv("TF_CONFIG", '{"model_dir": "elsewhere"}')
    with pytest.raises(SystemExit, match=r"^mnist_estimator\.py: TF_CONFIG: .+$"):  # one line
        run()


@pytest.fixture(scope="module")
def make_experiment(mnist_data):
    """`experiment_fn` that reads this data, and keeps how it was asked to."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        asked = []
        monkeypatch.setattr(mnist, "read_data_sets", lambda *args: asked.append(args) or mnist_data)

        def make(model_dir, params=None, **arguments):
            run_config = RunConfig(model_dir=str(model_dir))
            experiment = mnist_estimator.experiment_fn(
                run_config, params or get_hparams(), **arguments
            )
            return experiment, asked.pop()

        yield make


def test_the_experiment_has_what_it_is_given(make_experiment, tmp_path):
    params = get_hparams(train_steps=7, min_eval_frequency=3, batch_size=64, n_classes=47)
    experiment, asked = make_experiment(tmp_path, params, data_dir="data", export_dir="export")
    assert asked == ("data", 47)
    assert (experiment.train_steps, experiment._min_eval_frequency) == (7, 3)
    assert (experiment.eval_steps, experiment._eval_name) == (None, "")
    assert (experiment._evaluation, experiment._eval_delay_secs) == (Evaluation, 0)
    assert experiment._export_dir == "export"
    assert experiment._serving_input_receiver_fn is inputs.serving_input_receiver_fn
    assert experiment.estimator.model_dir == str(tmp_path)
    assert experiment.estimator.params.values() == params.values()
    images, labels = first_batch(experiment._train_input_fn, experiment._train_monitors)
    assert (images.shape, labels.shape) == ((64, 28, 28), (64,))


@pytest.mark.parametrize(("eval_split", "eval_name"), [("test", ""), ("validation", "validation")])
def test_evaluations_see_the_split_and_go_to_its_directory(
    make_experiment, tmp_path, mnist_data, eval_split, eval_name
):
    experiment, asked = make_experiment(tmp_path, eval_split=eval_split)
    assert asked == ("./mnist_data", 10)
    assert experiment._eval_name == eval_name
    images, labels = first_batch(experiment._eval_input_fn, experiment._eval_hooks)
    split = getattr(mnist_data, eval_split)
    np.testing.assert_array_equal(images, split.images[: mnist_estimator.EVAL_BATCH_SIZE])
    np.testing.assert_array_equal(labels, split.labels[: mnist_estimator.EVAL_BATCH_SIZE])


def test_an_evaluations_batch_is_that_of_the_readme():
    assert mnist_estimator.EVAL_BATCH_SIZE == 250


def keep_calls(monkeypatch, module, name, calls):
    """Makes a function or class of a module keep the arguments of its calls in `calls`."""
    original = getattr(module, name)

    def call(*args):
        calls.append((name, *args))
        return original(*args)

    monkeypatch.setattr(module, name, call)


@pytest.mark.parametrize("summary_images", [True, False])
@pytest.mark.parametrize("eval_split", ["test", "validation"])
def test_what_tensorboard_gets_goes_beside_the_curves(
    make_experiment, tmp_path, monkeypatch, summary_images, eval_split
):
    params, calls = get_hparams(train_steps=9, batch_size=64), []
    keep_calls(monkeypatch, hooks, "ProgressHook", calls)
    keep_calls(monkeypatch, summaries, "RunSummaryHook", calls)
    experiment, _ = make_experiment(
        tmp_path, params, summary_images=summary_images, eval_split=eval_split
    )
    eval_dir = str(tmp_path / ("eval" if eval_split == "test" else "eval_validation"))
    assert calls == [
        ("ProgressHook", 9, 64, str(tmp_path)),
        ("RunSummaryHook", eval_dir, params.values()),
    ]
    calls.clear()
    keep_calls(monkeypatch, model, "EvaluationSummaryHook", calls)
    estimator = experiment.estimator
    for mode in (ModeKeys.TRAIN, ModeKeys.EVAL):
        with tf.Graph().as_default():
            tf.compat.v1.train.create_global_step()
            features, labels = tf.zeros([4, 28, 28], tf.uint8), tf.zeros([4], tf.uint8)
            estimator.model_fn(features, labels, mode, estimator.config)
            operations = tf.compat.v1.get_default_graph().get_operations()
        has_images = any(operation.type == "ImageSummary" for operation in operations)
        assert has_images == (summary_images and mode == ModeKeys.TRAIN)
    [(_, output_dir, *_, with_images)] = calls
    assert (output_dir, with_images) == (eval_dir, summary_images)


@pytest.mark.parametrize(("available", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_hparams_of_tensorboard_have_the_precision_that_was_used(
    make_experiment, tmp_path, monkeypatch, available, precision
):
    calls = []
    monkeypatch.setattr(model, "has_bfloat16", lambda: available)
    keep_calls(monkeypatch, summaries, "RunSummaryHook", calls)
    params = get_hparams(precision="bfloat16")
    experiment, _ = make_experiment(tmp_path, params)
    assert calls[0][2] == {**params.values(), "precision": precision}
    assert experiment.estimator.params.precision == "bfloat16"


def test_a_worker_writes_no_events(make_experiment, tmp_path, monkeypatch):
    cluster = {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}
    tf_config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config))
    calls = []
    keep_calls(monkeypatch, hooks, "ProgressHook", calls)
    experiment, _ = make_experiment(tmp_path)
    names = [type(hook).__name__ for hook in experiment._train_monitors]
    assert names == ["IteratorInitializerHook", "ProgressHook"]
    assert calls == [("ProgressHook", 5000, 128, None)]


def test_output_of_a_run(finished_run):
    model_dir, process = finished_run
    number, time = r"[\d.]+", r"(?:\d+ min )?\d+ s"
    expected = [
        r'hyperparameters: \{"learning_rate": 0.002, .*"train_steps": 200, .*\}',
        rf"evaluation at step 50: accuracy {number}, loss {number}, in {number} s",
        rf"step 100 of 200: loss {number}, batch accuracy {number}, {number} steps/s, {time} left",
        rf"evaluation at step 100: accuracy {number}, loss {number}, in {number} s",
        rf"evaluation at step 150: accuracy {number}, loss {number}, in {number} s",
        rf"step 200 of 200: loss {number}, batch accuracy {number}, {number} steps/s, 0 s left",
        rf"evaluation at step 200: accuracy {number}, loss {number}, in {number} s",
        rf"done in {time}: final accuracy {number}",
        rf"  the model: +{model_dir}",
        rf"  watch it: +tensorboard --logdir {model_dir}",
        rf"  read a digit: +python predict.py --model_dir {model_dir} image.png",
    ]
    assert process.returncode == 0
    lines = process.stderr.splitlines()
    for first in (1, 4):  # this evaluation runs beside the steps, its line may come after theirs
        lines[first : first + 2] = sorted(lines[first : first + 2])
    assert len(lines) == len(expected), process.stderr
    for line, pattern in zip(lines, expected):
        assert re.fullmatch(pattern, line), (line, pattern)


def test_the_network_learns(finished_run):
    _, process = finished_run
    assert float(re.search(r"final accuracy ([\d.]+)", process.stderr)[1]) > 0.95


def test_debug_verbosity_shows_tensorflows_messages_once(tmp_path):
    process = run_script(
        "mnist_estimator.py",
        f"--model_dir={tmp_path}",
        "--hparams=train_steps=1",
        "--eval_split=validation",
        "--verbosity=1",
    )
    lines = collections.Counter(process.stderr.splitlines())
    assert lines["Running local_init_op."] == 1
    assert lines[f"Saving checkpoints for 1 into {tmp_path}/model.ckpt."] == 1


def test_warning_verbosity_shows_nothing_of_a_good_run(tmp_path):
    hparams = "--hparams=train_steps=1,augmentation=elastic,learning_rate_decay=cosine"
    flags = [f"--model_dir={tmp_path}", "--seed=1", "--verbosity=-1", hparams]
    process = run_script("mnist_estimator.py", *flags)
    assert (process.returncode, process.stderr, process.stdout) == (0, "", "")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--schedule=evaluate", "has no checkpoint yet; train first"),
        ("--export_dir=model.py", "--export_dir model.py is a file; give a directory"),
    ],
)
def test_a_users_mistake_is_a_line_and_trains_nothing(tmp_path, flag, message):
    process = run_script("mnist_estimator.py", f"--model_dir={tmp_path}/model", flag)
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith("mnist_estimator.py: ")
    assert message in process.stderr
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.glob("model/model.ckpt-*"))


def test_both_entries_can_be_imported_in_one_process():
    code = "import mnist_estimator, predict; mnist_estimator.define_flags()"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.fixture
def session_config(set_flags, monkeypatch):
    """A function that returns the session's configuration for flags and a number of cores."""
    monkeypatch.delenv("TF_CONFIG", raising=False)

    def get(*arguments, n_cores=2):
        set_flags(mnist_estimator, *arguments)
        cores = range(n_cores)
        monkeypatch.setattr(mnist_estimator.os, "sched_getaffinity", lambda _: cores, raising=False)
        return mnist_estimator.get_session_config()

    return get


@pytest.mark.parametrize(("n_cores", "n_operations"), [(2, 2), (4, 4), (16, 4)])
def test_training_does_operations_of_one_thread_side_by_side(session_config, n_cores, n_operations):
    config = session_config("--schedule=train", n_cores=n_cores)
    assert config.intra_op_parallelism_threads == 1
    assert config.inter_op_parallelism_threads == n_operations
    assert config.allow_soft_placement


@pytest.mark.parametrize("schedule", ["evaluate", "export"])
def test_a_schedule_that_does_not_train_has_the_threads_of_tensorflow(session_config, schedule):
    assert session_config(f"--schedule={schedule}") is None


def test_one_core_has_the_threads_of_tensorflow(session_config):
    assert session_config(n_cores=1) is None


def test_a_task_of_a_cluster_has_the_threads_of_tensorflow(session_config, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert session_config() is None


def test_a_gpu_has_the_threads_of_tensorflow(session_config, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert session_config() is None
