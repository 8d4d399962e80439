"""Runs a program of TensorFlow 1 as it is: python -m contrib PROGRAM.py ARGUMENTS."""

import builtins
import io
import os
import runpy
import sys
import types

import contrib

USAGE = "usage: python -m contrib PROGRAM.py ARGUMENTS, or: python -m contrib -m MODULE ARGUMENTS"


def run_file(path):
    """Runs a file as `python PATH` does."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, __file__=os.path.abspath(path))
    sys.modules["__main__"] = module
    with io.open_code(module.__file__) as file:
        code = compile(file.read(), module.__file__, "exec", dont_inherit=True)
    exec(code, module.__dict__)


def main():
    del sys.argv[0]
    if sys.argv[:1] in ([], ["-h"], ["--help"], ["-m"]) and len(sys.argv) < 2:
        sys.exit(USAGE)
    path = sys.argv[0]
    if path != "-m":
        if not os.path.isfile(path):
            sys.exit(f"python -m contrib: there is no file {path}; {USAGE}")
        contrib.install()
        sys.path[0] = os.path.dirname(os.path.realpath(path))
        run_file(path)
    else:
        contrib.install()
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
