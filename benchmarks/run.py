"""Runs this project and its peers on the same job, in turn, and prints a Markdown table.

    python benchmarks/run.py --runs 5 --choices

--choices first measures Keras and PyTorch with each of their choices alone and with all together.
The fastest of each is the rival in the table.

The first run makes two virtual environments beside it: one from the project's requirements.txt for
the project and Keras, one from benchmarks/requirements.txt for PyTorch, because PyTorch's
SummaryWriter imports TensorFlow where it can. Every program is a process of its own, so its
start-up counts. Each round runs every program once, because the speed of a machine varies. The
machine has to be idle. On Linux each round tells how much other processes took.
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

IDLE = 0.03  # other processes' share of all cores, at most, in a round that may be called idle

COMMANDS = {
    "this project": [TENSORFLOW_PYTHON, PROJECT / "mnist_estimator.py"],
    "Keras, as documented": [TENSORFLOW_PYTHON, BENCHMARKS / "keras_mnist.py"],
    "PyTorch": [TORCH_PYTHON, BENCHMARKS / "torch_mnist.py"],
}
CHOICES = {
    "Keras, as documented": ["no_jit", "steps_per_execution", "gather", "relu_after_pooling"],
    "PyTorch": ["replicas", "compile", "large_evaluations"],
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
    parser.add_argument("--choices", action="store_true", help="find the fastest rivals first")
    parser.add_argument("--data_dir", default=PROJECT / "mnist_data", type=pathlib.Path)
    args = parser.parse_args()

    make_virtual_environment(TENSORFLOW_PYTHON, PROJECT / "requirements.txt")
    make_virtual_environment(TORCH_PYTHON, BENCHMARKS / "requirements.txt")
    commands = BFLOAT16_COMMANDS if args.bfloat16 else COMMANDS
    if args.choices:
        commands = {**commands, **find_fastest_rivals(args)}
    results = {name: [] for name in commands}
    shares = []  # of each round
    for seed in range(1, args.runs + 1):
        _, idle_share = with_others_share(time.sleep, 2)
        print(f"round {seed} of {args.runs}: {environment()}", file=sys.stderr)
        print(f"load {os.getloadavg()[0]:.1f}, {taken(idle_share)}", file=sys.stderr)
        shares.append(idle_share)
        for name, command in commands.items():
            result, share = with_others_share(measure, name, command, seed, args)
            print(f"{name}: {result}, {taken(share)}", file=sys.stderr)
            results[name].append(result)
            shares[-1] = max(shares[-1], share)
        print("idle" if shares[-1] <= IDLE else "NOT idle", file=sys.stderr)
    print_table(results, shares, args)


def find_fastest_rivals(args):
    """Returns `{name: command}`: the fastest choices of each peer on this machine.

    Each round measures the peer as documented, with each choice alone, and with all choices that
    were faster alone. Two rounds of a fifth of the steps.
    """
    rivals = {}
    short = argparse.Namespace(**{**vars(args), "train_steps": args.train_steps // 5})
    for name, choices in CHOICES.items():

        def seconds(chosen, name=name):
            command = [*COMMANDS[name], "--choices", *chosen]
            try:
                runs = [measure(name, command, seed, short)["wall time"] for seed in (1, 2)]
            except SystemExit as error:  # such as torch.compile without a compiler
                print(f"{name}, {' '.join(chosen)}: {str(error).splitlines()[-1]}")
                return float("inf")
            print(f"{name}, {' '.join(chosen) or 'no choice'}: {min(runs):.1f} s", flush=True)
            return min(runs)

        times = {(): seconds(())}
        times.update({(choice,): seconds((choice,)) for choice in choices})
        faster = tuple(choice for choice in choices if times[choice,] < times[()])
        if len(faster) > 1:
            times[faster] = seconds(faster)
        fastest = min(times, key=times.get)
        if fastest:
            rivals[f"{name.partition(',')[0]}, {' '.join(fastest)}"] = [
                *COMMANDS[name],
                "--choices",
                *fastest,
            ]
    return rivals


def with_others_share(function, *args):
    """Calls `function`; returns its result and the share of all cores that other processes took.

    The hypervisor's share counts, too. The share is NaN on systems other than Linux.
    """

    def seconds_of_others():
        try:
            stat = pathlib.Path("/proc/stat").read_text()
        except OSError:
            return float("nan")
        user, nice, system, _, _, irq, softirq, steal = map(int, stat.split()[1:9])
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return busy - sum(os.times()[:4])

    start_time, before = time.perf_counter(), seconds_of_others()
    result = function(*args)
    seconds = time.perf_counter() - start_time
    return result, (seconds_of_others() - before) / seconds / os.cpu_count()


def taken(share):
    return f"other processes took {share:.1%} of all cores"


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
    """Returns the three figures. Evaluations and steps share the cores, so both are slower."""
    text = "".join(line for _, line in lines)
    evaluations = re.findall(r"evaluation at .* accuracy ([\d.]+), .* in ([\d.]+) s", text)
    steps_per_second = re.findall(r"([\d.]+) steps/s", text)
    return (
        statistics.harmonic_mean(map(float, steps_per_second)),
        statistics.mean(float(seconds) for _, seconds in evaluations),
        float(evaluations[-1][0]),
    )


def print_table(results, shares, args):
    """Prints medians, and the median and range of the wall times' ratios within a round."""
    busy = [str(round_) for round_, share in enumerate(shares, 1) if not share <= IDLE]
    machine = (
        f"a machine that was not idle in round {', '.join(busy)}" if busy else "an idle machine"
    )
    print(
        f"{args.runs} interleaved runs of {args.train_steps:,} steps on {machine}, {environment()}"
    )
    print(f"({taken(max(shares))} at most)\n")
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
    """Returns the date, the processor and the versions."""
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
    try:
        gpus = subprocess.check_output(["nvidia-smi", "--list-gpus"], text=True)
    except (OSError, subprocess.CalledProcessError):
        gpus = ""
    return ", ".join(
        [
            f"{datetime.date.today()}",
            f"{os.cpu_count()} cores of {processor}",
            *re.findall(r"GPU \d+: (.*) \(UUID", gpus),
            f"Python {platform.python_version()}",
            *versions,
        ]
    )


if __name__ == "__main__":
    main()
