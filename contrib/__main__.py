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
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(USAGE)
        return
    is_module = sys.argv[1:2] == ["-m"]
    del sys.argv[: 1 + is_module]
    if not sys.argv:
        end(USAGE)
    if not is_module and not os.path.isfile(sys.argv[0]):
        end(f"python -m contrib: there is no file {sys.argv[0]}; {USAGE}")
    contrib.install()
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.realpath(sys.argv[0]))
        run_file(sys.argv[0])


def end(message):
    """Exits with 2 for a usage error, as Python does."""
    print(message, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
