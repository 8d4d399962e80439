import contextlib
import functools
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys

import pytest
import tensorflow as tf
from conftest import read_scalars, read_until

from command_line.hyperparameters import parse_hparams
from contrib.learn import Experiment, RunConfig, checkpoints, directories, learn_runner
from contrib.learn.checkpoints import set_damaged_checkpoints_aside
from contrib.learn.datasets import mnist
from contrib.learn.directories import lock
from contrib.learn.errors import UserError
from contrib.learn.training import get_latest_step
from mnist_estimator import experiment_fn, get_hparams

HPARAMS = "train_steps=40,min_eval_frequency=20"


def get_run_config(model_dir, params):
    return RunConfig(model_dir=str(model_dir), save_checkpoints_steps=params.min_eval_frequency)


def train(model_dir, data_dir, hparams=HPARAMS, schedule="train_and_evaluate"):
    """What the script does when its flags are read; returns the result of the evaluation."""
    params = parse_hparams(get_hparams(), hparams)
    result = learn_runner.run(
        functools.partial(experiment_fn, data_dir=data_dir),
        run_config=get_run_config(model_dir, params),
        schedule=schedule,
        hparams=params,
    )
    return result[0] if schedule == "train_and_evaluate" else result


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_data_dir):
    """A model directory with checkpoints at steps 0, 20 and 40, not to be changed."""
    model_dir = tmp_path_factory.mktemp("trained") / "model"
    train(model_dir, small_data_dir)
    return model_dir


@pytest.fixture
def model_dir(trained, tmp_path):
    """A copy of `trained`."""
    return pathlib.Path(shutil.copytree(trained, tmp_path / "model"))


@pytest.fixture
def mount_tmpfs(tmp_path):
    """A function that mounts a file system of so many bytes and returns its path."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a tmpfs")
    path = tmp_path / "tmpfs"

    def mount(size):
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a file system is not allowed here")
        return path

    yield mount
    subprocess.run(["umount", "--lazy", str(path)], capture_output=True)


def get_files(directory):
    return {path.name: path.read_bytes() for path in directory.glob("model.ckpt-*.[di]*")}


# Stopping


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_a_checkpoint_and_says_how_to_go_on(
    number, exit_code, tmp_path, small_data_dir, start_script
):
    flags = ["--model_dir", tmp_path / "model", "--data_dir", small_data_dir, "--hparams"]
    process = start_script("mnist_estimator.py", *flags, "train_steps=100000,min_eval_frequency=15")
    read_until(process, "evaluation at step 15:")
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == exit_code
    step = checkpoints.get_step(tf.train.latest_checkpoint(str(tmp_path / "model")))
    assert f"stopped at step {step:,} of 100,000; to go on, run the same command" in output


def test_signal_before_the_first_step_stops_after_it(tmp_path, small_data_dir, start_script):
    flags = ["--model_dir", tmp_path / "model", "--data_dir", small_data_dir]
    process = start_script("mnist_estimator.py", *flags)
    read_until(process, "hyperparameters")
    process.send_signal(signal.SIGINT)
    assert "stopped at step 1 of" in process.communicate(timeout=60)[0]
    assert process.returncode == 130


@pytest.mark.parametrize("schedule", ["evaluate", "export"])
def test_signal_ends_what_does_not_train(schedule, trained, tmp_path, small_data_dir, start_script):
    flags = ["--model_dir", trained, "--data_dir", small_data_dir, "--schedule", schedule]
    flags += ["--export_dir", tmp_path / "export"] if schedule == "export" else []
    process = start_script("mnist_estimator.py", *flags)
    read_until(process, "hyperparameters")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 130
    assert not list(tmp_path.glob("export/*"))


def test_signal_is_passed_on_once_all_is_saved(tmp_path, small_data_dir):
    params = get_hparams(train_steps=20)
    experiment = experiment_fn(get_run_config(tmp_path, params), params, small_data_dir)

    class Interrupt(tf.compat.v1.train.SessionRunHook):
        interrupts = True

        def before_run(self, run_context):
            if self.interrupts:
                self.interrupts = False
                signal.raise_signal(signal.SIGINT)

    experiment.extend_train_hooks([Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        experiment.train_and_evaluate()
    assert get_latest_step(experiment.estimator) == 1
    result, _ = experiment.train_and_evaluate()
    assert result["global_step"] == 20


# Kills


@pytest.mark.parametrize(
    ("n_kills", "seconds", "train_steps"),
    [(3, 6, 200), pytest.param(20, 9, 1500, marks=pytest.mark.slow)],
)
def test_killed_at_random_moments(
    n_kills, seconds, train_steps, tmp_path, small_data_dir, start_script
):
    is_long = train_steps == 1500
    data_dir = mnist.BUNDLED_DATA_DIR if is_long else small_data_dir
    flags = ["--model_dir", tmp_path / "model", "--data_dir", data_dir]
    frequency = 100 if is_long else 20
    flags += ["--hparams", f"train_steps={train_steps},min_eval_frequency={frequency}"]
    for kill in range(n_kills):
        process = start_script("mnist_estimator.py", *flags)
        output = read_until(process, "hyperparameters")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(random.uniform(0, seconds))
        process.kill()
        output += process.communicate()[0]
        print(f"kill {kill}: exit code {process.returncode}\n{output}")
        assert "rror" not in output and "damaged" not in output
        if process.returncode == 0:  # done, before it could be killed
            break
        assert process.returncode == -signal.SIGKILL
    process = start_script("mnist_estimator.py", *flags)
    print(process.communicate()[0])
    assert process.returncode == 0
    accuracies = read_scalars(tmp_path / "model" / "eval", "Accuracy")
    assert sorted(accuracies) == list(range(frequency, train_steps + 1, frequency))
    assert accuracies[train_steps] >= (0.985 if is_long else 0.85)
    losses = read_scalars(tmp_path / "model", "OptimizeLoss/loss")
    assert {step // 100 for step in losses} >= set(range(train_steps // 100))


def cut(path, size):
    os.truncate(path, size)


@pytest.mark.parametrize(
    "damage",
    [
        lambda model_dir: cut(model_dir / "model.ckpt-40.index", 0),
        lambda model_dir: cut(model_dir / "model.ckpt-40.index", 700),
        lambda model_dir: (model_dir / "model.ckpt-40.index").write_bytes(os.urandom(900)),
        lambda model_dir: (model_dir / "model.ckpt-40.index").unlink(),
        lambda model_dir: cut(model_dir / "model.ckpt-40.data-00000-of-00001", 3000000),
        lambda model_dir: (model_dir / "model.ckpt-40.data-00000-of-00001").unlink(),
    ],
    ids=["empty index", "short index", "garbage", "no index", "short data", "no data"],
)
def test_damaged_checkpoint_is_set_aside(damage, model_dir):
    damage(model_dir)
    set_damaged_checkpoints_aside(str(model_dir))
    assert tf.train.latest_checkpoint(str(model_dir)) == str(model_dir / "model.ckpt-20")
    assert not list(model_dir.glob("model.ckpt-40.*"))
    assert list((model_dir / "damaged").glob("model.ckpt-40.*"))


@pytest.mark.parametrize(
    "content",
    [None, "", "\x00\x01", 'model_checkpoint_path: "model.ckpt-4000"'],
    ids=["missing", "empty", "garbage", "names a missing file"],
)
def test_damaged_checkpoint_state_is_rebuilt(content, model_dir):
    (model_dir / "checkpoint").unlink()
    if content is not None:
        (model_dir / "checkpoint").write_text(content)
    set_damaged_checkpoints_aside(str(model_dir))
    state = tf.train.get_checkpoint_state(str(model_dir))
    assert [pathlib.Path(path).name for path in state.all_model_checkpoint_paths] == [
        "model.ckpt-0",
        "model.ckpt-20",
        "model.ckpt-40",
    ]


def test_whole_checkpoints_are_left_alone(model_dir):
    before = get_files(model_dir), (model_dir / "checkpoint").read_text()
    set_damaged_checkpoints_aside(str(model_dir))
    assert (get_files(model_dir), (model_dir / "checkpoint").read_text()) == before


def test_training_goes_on_from_the_checkpoint_before_a_truncated_one(model_dir, small_data_dir):
    cut(model_dir / "model.ckpt-40.data-00000-of-00001", 1000000)
    assert train(model_dir, small_data_dir)["global_step"] == 40


def test_leftovers_of_a_killed_save_are_removed(model_dir):
    (model_dir / "model.ckpt-60_temp").mkdir()
    (model_dir / "model.ckpt-60_temp" / "part-00000").write_bytes(b"1")
    set_damaged_checkpoints_aside(str(model_dir))
    assert not (model_dir / "model.ckpt-60_temp").exists()


# No room, no rights


def assert_refused(model_dir, data_dir, *words, hparams="train_steps=80,min_eval_frequency=20"):
    """Training has to end with one line with these words, and to leave all checkpoints whole."""
    before = get_files(model_dir) if model_dir.is_dir() else {}
    with pytest.raises(UserError) as refused:
        train(model_dir, data_dir, hparams)
    line = str(refused.value)
    assert "\n" not in line
    for word in words:
        assert word in line
    if model_dir.is_dir():
        assert before.items() <= get_files(model_dir).items()


def test_full_disk(mount_tmpfs, trained, small_data_dir):
    model_dir = mount_tmpfs("14m") / "model"
    shutil.copytree(trained, model_dir)
    assert_refused(model_dir, small_data_dir, "model.ckpt-", "No space left on device")
    assert not checkpoints.find_damage(tf.train.latest_checkpoint(str(model_dir)))


class FillDiskHook(tf.compat.v1.train.SessionRunHook):
    def __init__(self, directory):
        self.path = directory / "filler"

    def end(self, session):
        with contextlib.suppress(OSError), open(self.path, "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))


@pytest.mark.parametrize("when", ["before the evaluation", "before its result is written"])
def test_disk_too_full_for_events(when, mount_tmpfs, trained, small_data_dir):
    model_dir = mount_tmpfs("30m") / "model"
    shutil.copytree(trained, model_dir)
    run_config = get_run_config(model_dir, get_hparams())
    experiment = experiment_fn(run_config, get_hparams(), small_data_dir)
    fill_disk_hook = FillDiskHook(model_dir)
    if when == "before the evaluation":
        fill_disk_hook.end(None)
    else:
        experiment._eval_hooks.append(fill_disk_hook)
    with pytest.raises(UserError, match="No space left on device"):
        experiment.evaluate()


def test_file_size_limit(model_dir, small_data_dir):
    resource = pytest.importorskip("resource", reason="only Unix limits the size of files")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000000, limits[1]))
    try:
        assert_refused(model_dir, small_data_dir, "model.ckpt-", "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_read_only_model_dir(mount_tmpfs, trained, small_data_dir):
    model_dir = mount_tmpfs("30m")
    shutil.copytree(trained, model_dir, dirs_exist_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", str(model_dir)], check=True)
    assert_refused(model_dir, small_data_dir, str(model_dir), "Read-only file system")


def test_model_dir_is_a_file(tmp_path, small_data_dir):
    (tmp_path / "file").touch()
    assert_refused(tmp_path / "file", small_data_dir, f"--model_dir {tmp_path / 'file'} is a file")


def test_checkpoint_of_another_model(model_dir, small_data_dir):
    words = "model.ckpt-40", "another model", "[256, 10]", "[256, 47]"
    assert_refused(model_dir, small_data_dir, *words, hparams="n_classes=47,train_steps=80")
    assert json.loads((model_dir / directories.HPARAMS_FILE).read_text())["n_classes"] == 10


def test_foreign_checkpoint(tmp_path, small_data_dir):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variable = tf.compat.v1.get_variable("foreign", [2], initializer=tf.zeros_initializer())
        session.run(variable.initializer)
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), global_step=7)
    assert_refused(tmp_path, small_data_dir, "model.ckpt-7", "another model", "is missing")


# Two at once


def test_second_training_is_refused_and_names_the_first(model_dir, small_data_dir):
    with lock(str(model_dir)):
        assert_refused(model_dir, small_data_dir, f"process {os.getpid()} ")


def test_lock_of_a_dead_process_is_no_obstacle(model_dir, small_data_dir):
    (model_dir / directories.LOCK_FILE).touch()
    (model_dir / directories.HOLDER_FILE).write_text("1 on somewhere")
    train(model_dir, small_data_dir)
    assert (model_dir / directories.HOLDER_FILE).read_text().startswith(f"{os.getpid()} ")


def test_evaluation_beside_a_training(model_dir, small_data_dir):
    with lock(str(model_dir)):
        assert train(model_dir, small_data_dir, schedule="evaluate")["global_step"] == 40


# NaN


def test_diverging_run_keeps_the_checkpoints(model_dir, small_data_dir):
    words = "diverged", "model.ckpt-40", "learning_rate"
    assert_refused(model_dir, small_data_dir, *words, hparams="learning_rate=1e6,train_steps=80")


def test_weights_that_are_not_finite_are_not_saved(model_dir, small_data_dir, monkeypatch):
    # Each step is followed by a save, so that the one that makes the NaN would be saved as well.
    monkeypatch.setattr(Experiment, "_evaluate", lambda *args: None)
    hparams = "learning_rate=1e38,train_steps=80,min_eval_frequency=1"
    assert_refused(model_dir, small_data_dir, "diverged", hparams=hparams)
    reader = tf.train.load_checkpoint(str(model_dir))
    weights = reader.get_tensor("MnistConvNet/output/weights")
    assert tf.reduce_all(tf.math.is_finite(weights))
