import json
import signal
import socket

import pytest

import inputs
from cluster import adapt_run_config, check_tf_config
from conftest import read_scalars, read_until
from errors import UserError
from hparams import HParams
from local_cluster import get_cluster, start_cluster, start_task
from mnist_estimator import experiment_fn
from tf_estimator import RunConfig

CLUSTER = {"chief": ["a:1"], "worker": ["b:1", "b:2"], "ps": ["c:1"]}
CHIEF = {"type": "chief", "index": 0}


@pytest.fixture
def set_tf_config(monkeypatch):
    def set_to(task_type, index, cluster=CLUSTER):
        tf_config = {"cluster": cluster, "task": {"type": task_type, "index": index}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config))

    return set_to


@pytest.mark.parametrize(
    "task",
    [("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0), ("evaluator", 0)],
)
def test_each_task_of_a_cluster_is_accepted(task, set_tf_config):
    task = {"type": task[0], "index": task[1]}
    assert check_tf_config(json.dumps({"cluster": CLUSTER, "task": task}))


@pytest.mark.parametrize("value", [None, "", "{}", '{"environment": "cloud"}'])
def test_no_cluster_is_a_single_machine(value):
    assert not check_tf_config(value)


def tf_config(task=None, **jobs):
    """CLUSTER with other jobs; None leaves one out."""
    cluster = {job: hosts for job, hosts in {**CLUSTER, **jobs}.items() if hosts is not None}
    return json.dumps({"cluster": cluster, "task": task or CHIEF})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        (json.dumps({"cluster": CLUSTER}), '"cluster" and "task"'),
        (json.dumps({"task": CHIEF}), '"cluster" and "task"'),
        (json.dumps({"cluster": [], "task": CHIEF}), '"cluster" and "task"'),
        (tf_config(master=["d:1"]), "unknown job master"),
        (tf_config(task={"type": "boss", "index": 0}), 'task type "boss"'),
        (tf_config(task={"type": ["ps"], "index": 0}), 'task type ["ps"]'),
        (tf_config(task={"type": "ps", "index": 0}, ps=None, worker=None), 'task type "ps"'),
        (tf_config(task={"type": "worker", "index": 2}), "index 2 of worker has to be in 0..1"),
        (tf_config(task={"type": "worker", "index": -1}), "index -1 of worker"),
        (tf_config(task={"type": "worker", "index": "0"}), 'index "0" of worker'),
        (tf_config(task={"type": "worker"}), "index null of worker"),
        (tf_config(task={"type": "evaluator", "index": 1}), "index 1 of evaluator has to be 0"),
        (tf_config(chief=None), "exactly one chief"),
        (tf_config(chief=["a:1", "a:2"]), "exactly one chief"),
        (tf_config(ps=None), "workers need a ps"),
        (tf_config(ps="c:1"), "ps has to be a list of addresses"),
        (tf_config(ps=[]), "ps has to be a list of addresses"),
        (tf_config(ps=["c"]), '"c" is not an address'),
        (tf_config(ps=["c:port"]), '"c:port" is not an address'),
        (tf_config(ps=["c:70000"]), '"c:70000" is not an address'),
        (tf_config(ps=[2222]), "2222 is not an address"),
        (tf_config(ps=[["c:1"]]), '["c:1"] is not an address'),
        (tf_config(ps=["a:1"]), "a:1 is there twice"),
    ],
)
def test_bad_tf_config_gets_one_clear_line(value, words):
    with pytest.raises(ValueError, match="TF_CONFIG") as error:
        check_tf_config(value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_each_worker_has_a_seed_of_its_own(set_tf_config):
    seeds = set()
    for task in [("chief", 0), ("worker", 0), ("worker", 1)]:
        set_tf_config(*task)
        seeds.add(adapt_run_config(RunConfig(tf_random_seed=7)).tf_random_seed)
    assert len(seeds) == 3


def test_only_the_chief_saves_checkpoints(set_tf_config, tmp_path, small_data_dir):
    names = {}
    for task in [("chief", 0), ("worker", 0)]:
        set_tf_config(*task)
        run_config = RunConfig(model_dir=str(tmp_path))
        hooks = experiment_fn(run_config, HParams(), small_data_dir).get_train_hooks()
        names[task[0]] = [type(hook).__name__ for hook in hooks]
    assert "CheckpointSaverHook" in names["chief"]
    assert "CheckpointSaverHook" not in names["worker"]


def test_port_of_another_process_gets_one_clear_line(set_tf_config, tmp_path, small_data_dir):
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        set_tf_config("ps", 0, {"chief": ["127.0.0.1:1"], "ps": [address]})
        run_config = RunConfig(model_dir=str(tmp_path))
        experiment = experiment_fn(run_config, HParams(), small_data_dir)
        with pytest.raises(UserError, match=f"{address}: Address already in use"):
            experiment.train_and_evaluate()


@pytest.mark.parametrize("task_type", ["chief", "worker", "ps", "evaluator"])
def test_a_finished_job_that_is_started_again_ends_at_once(
    task_type, set_tf_config, tmp_path, small_data_dir, caplog
):
    params = HParams(train_steps=2)
    experiment_fn(RunConfig(str(tmp_path)), params, small_data_dir).train_and_evaluate()
    events = sorted(path.name for path in (tmp_path / "eval").iterdir())
    set_tf_config(task_type, 0)
    caplog.set_level("INFO", logger="absl")
    run_config = adapt_run_config(RunConfig(str(tmp_path)))
    experiment_fn(run_config, params, small_data_dir).train_and_evaluate()
    said = (
        "is evaluated up to step 2 already" if task_type == "evaluator" else "is at step 2 already"
    )
    assert f"{tmp_path} {said}" in caplog.text
    assert sorted(path.name for path in (tmp_path / "eval").iterdir()) == events


@pytest.fixture
def run_cluster():
    """`start_cluster`, whose processes do not outlive the test."""
    started = []

    def run(n_workers, arguments):
        cluster, processes = start_cluster(n_workers, arguments)
        started.append(processes)
        return cluster, processes

    yield run
    for processes in started:
        for process in processes.values():
            process.kill()


def assert_all_end_well(processes):
    """Returns their outputs."""
    outputs = {task: process.communicate(timeout=150)[0] for task, process in processes.items()}
    for task, process in processes.items():
        assert process.returncode == 0, f"{task}:\n{outputs[task]}"
    return outputs


def test_cluster_trains_evaluates_and_ends_by_itself(run_cluster, tmp_path):
    flags = ["--model_dir", tmp_path / "model", "--data_dir", inputs.BUNDLED_DATA_DIR]
    _, processes = run_cluster(2, [*flags, "--hparams", "train_steps=600"])
    outputs = assert_all_end_well(processes)
    for task in [("chief", 0), ("worker", 0), ("worker", 1)]:
        assert "of 600: loss" in outputs[task]  # it did steps
    accuracies = read_scalars(tmp_path / "model" / "eval", "Accuracy")
    assert max(accuracies) >= 600
    assert len(accuracies) >= 5
    assert accuracies[max(accuracies)] >= 0.98


def test_killed_worker_and_killed_chief_join_again(run_cluster, tmp_path, small_data_dir):
    arguments = ["--model_dir", tmp_path / "model", "--data_dir", small_data_dir]
    arguments += ["--hparams", "train_steps=700"]
    cluster, processes = run_cluster(1, arguments)
    for task in [("worker", 0), ("chief", 0)]:
        read_until(processes[task], "of 700: loss")
        processes[task].kill()
        processes[task].wait()
        processes[task] = start_task(cluster, *task, arguments)
    outputs = assert_all_end_well(processes)
    assert "going on from step" not in outputs["worker", 0]
    accuracies = read_scalars(tmp_path / "model" / "eval", "Accuracy")
    assert accuracies[max(accuracies)] >= 0.9


def test_task_without_the_others_can_be_stopped(tmp_path, small_data_dir):
    arguments = ["--model_dir", tmp_path, "--data_dir", small_data_dir]
    process = start_task(get_cluster(1), "worker", 0, arguments)
    read_until(process, "hyperparameters")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
