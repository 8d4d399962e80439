"""Shows a program's errors as they would be without us, and those of ours in one line."""

import importlib
import os
import re
import runpy
import sys
import traceback

from contrib.learn.errors import UserError
from contrib.names import LostModule, LostName, explain

# What stands between a program and its error: this package, and how Python runs and imports.
_OURS = (
    *(os.path.dirname(path) for path in (os.path.abspath(__file__), importlib.__file__)),
    runpy.__file__,
    "<frozen ",
)


def show(error_type, error, trace):
    """A `sys.excepthook`."""
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace)]
    is_ours = [name.startswith(_OURS) for name, _ in frames]
    problem = _find_lost_name(error)
    if problem and not all(is_ours):
        place, line = [frame for frame, ours in zip(frames, is_ours) if not ours][-1]
        print(f"{place}:{line}: {problem}", file=sys.stderr)
    elif isinstance(error, UserError):
        print(f"{os.path.basename(sys.argv[0])}: {error}", file=sys.stderr)
    else:
        while trace and is_ours.pop(0):
            trace = trace.tb_next
        sys.__excepthook__(error_type, error.with_traceback(trace), trace)


def _find_lost_name(error):
    """Returns the line that says which name is not here, or None if the error is of another kind.

    Python makes an ImportError of its own where `from package import name` finds none.
    """
    if isinstance(error, (LostName, LostModule)):
        return str(error)
    match = re.match(r"cannot import name '(\w+)' from 'contrib\.?([\w.]*)'", str(error))
    return explain(f"{match[2]}.{match[1]}".lstrip(".")) if match else None
