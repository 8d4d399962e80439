"""Problems that the user must fix, in one line. Imports no TensorFlow."""

import errno
import os
import shlex
import subprocess

# Why a file can't be written, in the words at the end of TensorFlow's messages.
_CAUSES = {
    os.strerror(number)
    for number in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
    )
}


class UserError(ValueError):
    """A problem that the user must fix: one line with the problem, its place and its remedy."""


def find_storage_problem(error, model_dir):
    """Returns which file can't be used and why, or None if the error is of another kind."""
    if isinstance(error, OSError) and (error.filename or error.strerror in _CAUSES):
        return f"{error.filename or model_dir}: {error.strerror}"
    for line in str(error).splitlines():
        path, _, cause = line.rpartition("; ")
        if cause in _CAUSES:
            return f"{path or model_dir}: {cause}"
        if line.endswith(" is not a directory"):
            return line
    return None


def quote(path):
    """Returns the path as this platform's shell takes it."""
    return shlex.quote(path) if os.name == "posix" else subprocess.list2cmdline([path])
