"""Runs this project and its peers on the same job, in turn, and prints a Markdown table.

    python benchmarks/run.py --runs 5

The first run makes two virtual environments beside it: one from the project's requirements.txt for
the project and Keras, one from benchmarks/requirements.txt for PyTorch, whose SummaryWriter would
import TensorFlow if it were there. Every program is a process of its own, so that its start-up
counts, and each round runs all of them once, so that a slow minute of the machine meets them all.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

BENCHMARKS = pathlib.Path(__file__).resolve().parent
PROJECT = BENCHMARKS.parent
TENSORFLOW_PYTHON = BENCHMARKS / ".venv-tensorflow" / "bin" / "python"
TORCH_PYTHON = BENCHMARKS / ".venv-torch" / "bin" / "python"

COMMANDS = {
    "this project": [TENSORFLOW_PYTHON, PROJECT / "mnist_estimator.py"],
    "Keras": [TENSORFLOW_PYTHON, BENCHMARKS / "keras_mnist.py"],
    "PyTorch": [TORCH_PYTHON, BENCHMARKS / "torch_mnist.py"],
}
BFLOAT16_COMMANDS = {
    "this project": COMMANDS["this project"],
    "this project, bfloat16": COMMANDS["this project"],
    "PyTorch, bfloat16": [*COMMANDS["PyTorch"], "--bfloat16"],
}
COLUMNS = {
    "wall time": "{:.1f} s",
    "processor time": "{:.1f} s",
    "steps/s": "{:.1f}",
    "evaluation": "{:.2f} s",
    "peak memory": "{:.0f} MB",
    "accuracy": "{:.4f}",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2, help="rounds; 5 for numbers to quote")
    parser.add_argument("--train_steps", type=int, default=5000)
    parser.add_argument("--bfloat16", action="store_true", help="compare runs in bfloat16")
    parser.add_argument("--data_dir", default=PROJECT / "mnist_data", type=pathlib.Path)
    args = parser.parse_args()

    make_virtual_environment(TENSORFLOW_PYTHON, PROJECT / "requirements.txt")
    make_virtual_environment(TORCH_PYTHON, BENCHMARKS / "requirements.txt")
    commands = BFLOAT16_COMMANDS if args.bfloat16 else COMMANDS
    results = {name: [] for name in commands}
    for seed in range(1, args.runs + 1):
        for name, command in commands.items():
            results[name].append(measure(name, command, seed, args))
            print(f"round {seed} of {args.runs}, {name}: {results[name][-1]}", file=sys.stderr)
    print_table(results, args)


def make_virtual_environment(python, requirements):
    if not python.exists():
        subprocess.check_call([sys.executable, "-m", "venv", python.parent.parent])
    install = [python, "-m", "pip", "install", "--quiet", "--requirement", requirements]
    subprocess.check_call(install)


def measure(name, command, seed, args):
    """Runs one program to its end; returns {column: value}."""
    with tempfile.TemporaryDirectory() as output_dir:
        command = [*command, f"--data_dir={args.data_dir}", f"--seed={seed}"]
        if name.startswith("this project"):
            precision = "bfloat16" if "bfloat16" in name else "float32"
            hparams = f"--hparams=train_steps={args.train_steps},precision={precision}"
            command += [f"--model_dir={output_dir}", hparams]
        else:
            command += [f"--output_dir={output_dir}", f"--train_steps={args.train_steps}"]
        start_time = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        lines = [(time.perf_counter(), line) for line in process.stdout]
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start_time
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{''.join(line for _, line in lines)}")
    parse = parse_project_output if name.startswith("this project") else parse_peer_output
    steps_per_second, seconds_per_evaluation, accuracy = parse(lines)
    maxrss_unit = 1 if platform.system() == "Darwin" else 1024  # bytes
    return {
        "wall time": seconds,
        "processor time": usage.ru_utime + usage.ru_stime,
        "steps/s": steps_per_second,
        "evaluation": seconds_per_evaluation,
        "peak memory": usage.ru_maxrss * maxrss_unit / 1e6,
        "accuracy": accuracy,
    }


def parse_peer_output(lines):
    last_line = json.loads(lines[-1][1])
    return [last_line[key] for key in ("steps_per_second", "seconds_per_evaluation", "accuracy")]


def parse_project_output(lines):
    """Like the peers' own count: all of training, its graph and checkpoints too, is in steps/s."""
    text = "".join(line for _, line in lines)
    evaluations = re.findall(r"evaluation at .* accuracy ([\d.]+), .* in ([\d.]+) s", text)
    evaluation_seconds = sum(float(seconds) for _, seconds in evaluations)
    start_time = next(seconds for seconds, line in lines if line.startswith("hyperparameters"))
    end_time = next(seconds for seconds, line in lines if line.startswith("done"))
    train_steps = int(re.search(r'"train_steps": (\d+)', text)[1])
    return (
        train_steps / (end_time - start_time - evaluation_seconds),
        evaluation_seconds / len(evaluations),
        float(evaluations[-1][0]),
    )


def print_table(results, args):
    """Medians, and of the wall time the median and range of the ratios within a round."""
    print(f"{args.runs} interleaved runs of {args.train_steps:,} steps, {environment()}\n")
    reference = "this project, bfloat16" if args.bfloat16 else "this project"
    print("|", " | ".join(["", *COLUMNS, f"wall time of {reference} / its"]), "|")
    print("| --- " * (len(COLUMNS) + 2) + "|")
    for name, runs in results.items():
        cells = [
            cell.format(statistics.median(run[column] for run in runs))
            for column, cell in COLUMNS.items()
        ]
        pairs = zip(results[reference], runs)
        ratios = [reference_run["wall time"] / run["wall time"] for reference_run, run in pairs]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print("|", " | ".join([name, *cells]), "|")


def environment():
    """The date, the processor and the versions that the numbers belong to."""
    show = (
        "import sys; from importlib.metadata import version;"
        "print(', '.join(f'{package} {version(package)}' for package in sys.argv[1:]))"
    )
    versions = [
        subprocess.check_output([python, "-c", show, *packages], text=True).strip()
        for python, packages in (
            (TENSORFLOW_PYTHON, ["tensorflow", "keras"]),
            (TORCH_PYTHON, ["torch"]),
        )
    ]
    try:
        processor = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        processor = platform.processor()
    return ", ".join(
        [
            f"{datetime.date.today()}",
            f"{os.cpu_count()} cores of {processor}",
            f"Python {platform.python_version()}",
            *versions,
        ]
    )


if __name__ == "__main__":
    main()
