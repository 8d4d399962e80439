"""A cluster of scripts that say which task they are, in the place of mnist_estimator.py."""

import json
import os
import signal

import pytest
from conftest import ROOT, run_python

from command_line import local_cluster

SCRIPT = """
import json, os, signal, sys, time
task = json.loads(os.environ["TF_CONFIG"])["task"]
print(task["type"], task["index"], *sys.argv[1:])
print("to stderr", file=sys.stderr, flush=True)
"""
WAITS = """
chief_ended = sys.argv[0] + ".chief_ended"

def say(text):  # a signal may come within a print, and a print within a print fails
    os.write(1, (text + "\\n").encode())

def end(number, frame):
    say("got " + signal.Signals(number).name)
    if task["type"] == "chief":
        time.sleep(0.5)
        open(chief_ended, "w").close()
    elif os.path.exists(chief_ended):
        say("after the chief")
    os._exit(128 + number)

for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, end)
say("waits")
time.sleep(60)
"""


def cluster_of(directory, source):
    """The code of local_cluster.py with a script of this source."""
    (directory / "script.py").write_text(source)
    return f"""
import pathlib
from command_line import local_cluster
local_cluster.SCRIPT = pathlib.Path({str(directory / "script.py")!r})
local_cluster.main()
"""


@pytest.fixture
def start(start_python, tmp_path):
    """A function that starts local_cluster.py with a script of this source."""

    def start(source, *arguments):
        return start_python("-c", cluster_of(tmp_path, source), *arguments)

    return start


def by_task(output):
    """{task: its lines} without the seconds before them."""
    lines = {}
    for line in output.splitlines():
        seconds, _, rest = line.partition(" s ")
        assert float(seconds) >= 0
        task, _, text = rest.partition(": ")
        lines.setdefault(task, []).append(text)
    return lines


@pytest.mark.parametrize(
    ("arguments", "tasks"),
    [
        ([], ["chief 0", "evaluator 0", "ps 0", "worker 0", "worker 1"]),
        (["--workers", "0"], ["chief 0", "evaluator 0", "ps 0"]),
    ],
)
def test_each_task_gets_the_flags_and_is_printed_with_its_name(start, arguments, tasks):
    process = start(SCRIPT, *arguments, "--", "--model_dir", "a b")
    lines = by_task(process.communicate(timeout=60)[0])
    assert process.returncode == 0
    assert sorted(lines) == tasks
    for task, texts in lines.items():
        assert texts == [f"{task} --model_dir a b", "to stderr", "exit code 0"]


def test_the_exit_code_is_that_of_the_task_that_failed(start):
    process = start(SCRIPT + 'sys.exit(3 if task["type"] == "ps" else 0)', "--workers", "1")
    lines = by_task(process.communicate(timeout=60)[0])
    assert process.returncode == 3
    assert lines["ps 0"][-1] == "exit code 3"


def test_a_line_that_a_task_did_not_end_is_ended(start):
    process = start(SCRIPT + 'print("in the middle of", end="")', "--workers", "0")
    lines = by_task(process.communicate(timeout=60)[0])
    assert lines["ps 0"][-2:] == ["in the middle of", "exit code 0"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_chief_first(start, number):
    process = start(SCRIPT + WAITS, "--workers", "1")
    output = ""
    while output.count("waits") < 4:
        output += process.stdout.readline()
    process.send_signal(number)
    lines = by_task(process.communicate(timeout=60)[0])
    assert lines["chief 0"] == ["got SIGINT", "exit code 130"]
    for task in ("ps 0", "worker 0", "evaluator 0"):
        assert lines[task] == ["got SIGTERM", "after the chief", "exit code 143"]
    assert process.returncode == 130


def test_a_second_signal_does_not_wait_for_the_chief(start):
    saves = WAITS.replace("time.sleep(0.5)", "time.sleep(60 * (number == signal.SIGINT))")
    saves = saves.replace('open(chief_ended, "w").close()', "pass")  # it is stopped before
    process = start(SCRIPT + saves, "--workers", "0")
    output = ""
    while output.count("waits") < 3:
        output += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    while "chief 0: got SIGINT" not in output:
        output += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    lines = by_task(process.communicate(timeout=50)[0])
    assert lines["chief 0"] == ["got SIGTERM", "exit code 143"]
    assert lines["ps 0"] == ["got SIGTERM", "exit code 143"]


def test_a_chief_that_fails_stops_the_others(start):
    process = start(SCRIPT + 'task["type"] == "chief" and sys.exit(3)' + WAITS, "--workers", "1")
    lines = by_task(process.communicate(timeout=50)[0])
    assert lines["chief 0"][-1] == "exit code 3"
    for task in ("ps 0", "worker 0", "evaluator 0"):
        assert lines[task][-1].startswith("exit code ")
    assert process.returncode == 3


def test_a_cluster_goes_on_when_nobody_reads(start):
    process = start(SCRIPT + "print('x' * 10**6)", "--workers", "0")
    process.stdout.close()
    assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_cluster_goes_on_when_its_output_finds_no_room(tmp_path):
    code = cluster_of(tmp_path, "print('x' * 10**6)")
    with open("/dev/full", "w") as full:
        process = run_python("-c", code, "--workers", "0", stdout=full)
        code = f"import os; os.dup2(1, 2){code}"
        assert run_python("-c", code, "--workers", "0", stdout=full).returncode == 0
    line = "-c: standard output: No space left on device"
    assert process.returncode == 0
    assert set(process.stderr.splitlines()) == {line}


def test_a_number_of_workers_below_0_is_a_usage_error(start):
    process = start(SCRIPT, "--workers", "-1")
    assert "--workers -1 has to be 0 or more" in process.communicate(timeout=60)[0]
    assert process.returncode == 2


def test_addresses_are_free_ports_of_this_machine():
    cluster = local_cluster.get_cluster(2)
    assert {job: len(addresses) for job, addresses in cluster.items()} == {
        "chief": 1,
        "ps": 1,
        "worker": 2,
    }
    addresses = [address for job in cluster.values() for address in job]
    hosts, ports = zip(*(address.split(":") for address in addresses))
    assert set(hosts) == {"127.0.0.1"}
    assert len(set(ports)) == 4
    assert all(int(port) > 1023 for port in ports)


def test_a_task_gets_the_cluster_and_its_own_place(monkeypatch, tmp_path):
    (tmp_path / "script.py").write_text('import os; print(os.environ["TF_CONFIG"])')
    monkeypatch.setattr(local_cluster, "SCRIPT", tmp_path / "script.py")
    cluster, processes = local_cluster.start_cluster(1, [tmp_path])
    configs = {task: json.loads(process.communicate()[0]) for task, process in processes.items()}
    tasks = [("ps", 0), ("chief", 0), ("worker", 0), ("evaluator", 0)]
    assert list(configs) == tasks
    for task_type, index in tasks:
        task = {"type": task_type, "index": index}
        assert configs[task_type, index] == {"cluster": cluster, "task": task}


def test_the_script_is_mnist_estimator():
    assert local_cluster.SCRIPT == ROOT / "mnist_estimator.py"
