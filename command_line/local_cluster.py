"""Starts a cluster on this machine: a chief, workers, a parameter server and an evaluator.

    python -m command_line.local_cluster --workers 2 -- --model_dir /tmp/cluster

The arguments after `--` go to each `mnist_estimator.py`. The output of all tasks is printed, with
the elapsed time. Ctrl-C, SIGTERM or SIGHUP stops the chief first, which saves a checkpoint, then
the other tasks.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import command_line

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "mnist_estimator.py"


def get_cluster(n_workers):
    """Returns the "cluster" of a TF_CONFIG, on free loopback ports."""
    sockets = [socket.socket() for _ in range(2 + n_workers)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    chief, ps, *workers = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    return {"chief": [chief], "ps": [ps], **({"worker": workers} if workers else {})}


def start_task(cluster, task_type, index, arguments):
    """Starts one process of the cluster as a user would; its output is a pipe."""
    tf_config = {"cluster": cluster, "task": {"type": task_type, "index": index}}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env={**os.environ, "TF_CONFIG": json.dumps(tf_config)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C reaches this script alone
    )


def start_cluster(n_workers, arguments):
    """Starts all tasks; returns the cluster and {(task type, index): process}."""
    cluster = get_cluster(n_workers)
    tasks = [("ps", 0), ("chief", 0), *(("worker", i) for i in range(n_workers)), ("evaluator", 0)]
    return cluster, {task: start_task(cluster, *task, arguments) for task in tasks}


def wait(process):
    """Waits in short steps, because a signal just before a blocking wait would not end the wait."""
    while process.poll() is None:
        time.sleep(0.05)
    return process.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2, help="beside the chief")
    parser.add_argument("arguments", nargs="*", help="flags of mnist_estimator.py, after --")
    options = parser.parse_args()
    if options.workers < 0:
        parser.error(f"--workers {options.workers} has to be 0 or more")
    for name in ("SIGTERM", "SIGHUP"):  # as Ctrl-C
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    start_time = time.monotonic()
    _, processes = start_cluster(options.workers, options.arguments)

    def print_output(name, process):
        def print_line(line):
            try:
                # One write, because other threads print; a killed task may leave an open line.
                text = line.rstrip("\n") + "\n"
                print(f"{time.monotonic() - start_time:6.1f} s {name}: {text}", end="", flush=True)
            except OSError as error:  # the cluster goes on
                command_line.discard_output(error)

        for line in process.stdout:
            print_line(line)
        print_line(f"exit code {process.wait()}")

    for (task_type, index), process in processes.items():
        threading.Thread(target=print_output, args=(f"{task_type} {index}", process)).start()
    chief = processes["chief", 0]
    try:
        # In Python 3.11 a thread whose `join` is interrupted counts as ended.
        if wait(chief) == 0:  # else the other tasks would wait for the chief
            for process in processes.values():
                wait(process)
    except KeyboardInterrupt:
        with contextlib.suppress(KeyboardInterrupt):  # a second one ends the chief as well
            if os.name == "posix":  # elsewhere Ctrl-C has reached the chief
                chief.send_signal(signal.SIGINT)
            wait(chief)
    for process in processes.values():
        process.terminate()
    worst = max(abs(wait(process)) for process in processes.values())
    sys.exit(abs(chief.returncode) or worst)


if __name__ == "__main__":
    main()
