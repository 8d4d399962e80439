"""Clusters of processes, each of which trains, evaluates or holds parameters as on machines."""

from contrib.learn.datasets import mnist
import re
import signal

import pytest
from conftest import read_scalars, read_until

from command_line.local_cluster import get_cluster, start_cluster, start_task


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
    flags = ["--model_dir", tmp_path / "model", "--data_dir", mnist.BUNDLED_DATA_DIR]
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


def test_a_chief_that_is_stopped_saves(run_cluster, tmp_path, small_data_dir):
    arguments = ["--model_dir", tmp_path / "model", "--data_dir", small_data_dir]
    arguments += ["--hparams", "train_steps=300,min_eval_frequency=1000"]
    _, processes = run_cluster(0, arguments)
    read_until(processes["chief", 0], "step 100 of 300")
    processes["chief", 0].send_signal(signal.SIGTERM)
    output = processes["chief", 0].communicate(timeout=60)[0]
    assert processes["chief", 0].returncode == 143
    step = int(re.search(r"stopped at step (\d+) of 300", output)[1])
    assert step >= 100
    assert (tmp_path / "model" / f"model.ckpt-{step}.index").exists()


def test_task_without_the_others_can_be_stopped(tmp_path, small_data_dir):
    arguments = ["--model_dir", tmp_path, "--data_dir", small_data_dir]
    process = start_task(get_cluster(1), "worker", 0, arguments)
    read_until(process, "hyperparameters")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
