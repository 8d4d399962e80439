"""Breaks product files at random and tells which of the breaks their tests do not catch.

    pip install cosmic-ray && python tests/mutate.py --mutants 50 hooks.py contrib/learn/cluster.py

cosmic-ray makes the mutants. Its own runner starts a process for each, which imports TensorFlow for
longer than most tests take; here each is a fork of a server that has imported it.
"""

import argparse
import collections
import difflib
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT = 300  # seconds
PRODUCT_FILES = [
    *ROOT.glob("*.py"),
    *(path for package in ROOT.glob("*/__init__.py") for path in package.parent.rglob("*.py")),
]


def find_tests(path):
    """Tests mirror the packages; a.py has test_a.py and, for example, test_a_of_programs.py."""
    stem = path.parent.name if path.stem == "__init__" else path.stem
    directory = ROOT / "tests" / path.relative_to(ROOT).parent
    return sorted(str(test.relative_to(ROOT)) for test in directory.glob(f"test_{stem}*.py"))


TESTS = {str(path.relative_to(ROOT)): find_tests(path) for path in PRODUCT_FILES}


def find_mutations(names):
    """Returns [(file name, operator, occurrence)] of all mutations that cosmic-ray knows."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    operators = [get_operator(name) for name in operator_names()]
    operators = [operator() for operator in operators if not operator.arguments()]
    mutations = []
    for name in names:
        nodes = list(ast_nodes(get_ast((ROOT / name).read_text())))
        for operator in operators:
            n_positions = sum(len(list(operator.mutation_positions(node))) for node in nodes)
            mutations += [(name, operator, occurrence) for occurrence in range(n_positions)]
    return mutations


def run_tests(directory, tests):
    """Ends the process with pytest's exit code."""
    import pytest

    os.setsid()
    os.chdir(directory)
    with open("mutate.log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os._exit(pytest.main(["-x", "-q", "-n0", *tests]))


def is_caught(context, directory, name):
    """Whether a test of this file fails in this copy of the project, or does not end in time."""
    tests = list(TESTS[name])
    if name in ("mnist_estimator.py", "predict.py"):  # has what both scripts do with flags
        tests.append("tests/command_line/test_command_line.py")
    process = context.Process(target=run_tests, args=(directory, tests))
    process.start()
    process.join(TIMEOUT)
    if process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
    return process.exitcode != 0


def main():
    from cosmic_ray.mutating import mutate_code

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("files", nargs="*", default=[name for name in TESTS if TESTS[name]])
    options = parser.parse_args()
    untested = sorted(name for name in TESTS if not TESTS[name])
    print(f"without a test file of their own: {', '.join(untested)}")
    # Two mutants of one second and one size would share their bytecode.
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", TF_CPP_MIN_LOG_LEVEL="3")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "pytest"])
    mutations = find_mutations(sorted(options.files))
    chosen = random.Random(options.seed).sample(mutations, min(options.mutants, len(mutations)))
    tried, caught = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as directory:
        ignore = shutil.ignore_patterns(".*", "__pycache__", "docs")
        shutil.copytree(ROOT, directory, dirs_exist_ok=True, ignore=ignore)
        for name, operator, occurrence in sorted(chosen, key=mutations.index):
            path = pathlib.Path(directory, name)
            code = path.read_text()
            if name not in tried and is_caught(context, directory, name):
                log = pathlib.Path(directory, "mutate.log").read_text()
                sys.exit(f"the tests of {name} fail without a mutation:\n{log}")
            mutant = mutate_code(code, operator, occurrence)
            path.write_text(mutant)
            tried[name] += 1
            if is_caught(context, directory, name):
                caught[name] += 1
            else:
                lines = difflib.unified_diff(
                    code.splitlines(), mutant.splitlines(), name, name, n=1, lineterm=""
                )
                print(*lines, sep="\n", flush=True)
            path.write_text(code)
    for name in tried:
        print(f"{name}: {caught[name]} of {tried[name]} caught")


if __name__ == "__main__":
    main()
