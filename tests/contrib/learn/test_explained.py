import errno
import os
import threading

import pytest
import tensorflow as tf

from contrib.learn.errors import UserError
from contrib.learn.explained import explained

ADVICE = "run the same command again once this is mended"


def line_for(error, model_dir="model", trains=False):
    """The line that a user gets for an error of a run."""
    with pytest.raises(UserError) as explanation, explained(model_dir, trains):
        raise error
    assert explanation.value.__cause__ is error
    return str(explanation.value)


@pytest.mark.parametrize(
    "number",
    [
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.EIO, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG),
    ],
)
def test_a_file_that_cannot_be_written_is_a_line(number):
    cause = os.strerror(number)
    line = f"model/model.ckpt-7: {cause}; {ADVICE}"
    message = f"Save failed:\nmodel/model.ckpt-7; {cause}\n\t [[node save]]"
    assert line_for(tf.errors.OpError(None, None, message, number)) == line
    assert line_for(RuntimeError(message)) == line
    assert line_for(IndexError(message)) == line
    assert line_for(OSError(number, cause, "model/model.ckpt-7")) == line
    assert line_for(OSError(number, cause)) == f"model: {cause}; {ADVICE}"
    assert line_for(RuntimeError(cause)) == f"model: {cause}; {ADVICE}"


def test_what_trains_says_that_earlier_checkpoints_are_whole():
    error = OSError(errno.ENOSPC, "No space left on device", "model/model.ckpt-7")
    problem = "model/model.ckpt-7: No space left on device"
    kept = "earlier checkpoints are as they were"
    assert line_for(error, trains=True) == f"{problem}; {kept}, {ADVICE}"
    assert line_for(error, trains=False) == f"{problem}; {ADVICE}"


def test_a_file_that_is_not_there_is_a_line():
    error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "hparams.json")
    assert line_for(error) == f"hparams.json: No such file or directory; {ADVICE}"


def test_a_file_in_the_place_of_a_directory_is_a_line():
    error = tf.errors.FailedPreconditionError(None, None, "model/eval is not a directory")
    assert line_for(error) == f"model/eval is not a directory; {ADVICE}"


def test_a_diverged_training_names_the_last_checkpoint(tmp_path):
    (tmp_path / "model.ckpt-7.index").touch()
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-7"')
    error = tf.compat.v1.train.NanLossDuringTrainingError()
    assert line_for(error, str(tmp_path)) == (
        "training diverged, the loss is not a number any more; the last checkpoint is "
        f"{tmp_path}/model.ckpt-7; give a smaller --hparams learning_rate"
    )


@pytest.mark.parametrize(
    "error",
    [
        UserError("a line"),
        ValueError("a bug"),
        OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN)),
        RuntimeError("graph; a bug"),
        IndexError("a bug"),
    ],
)
def test_other_errors_are_passed_on(error):
    with pytest.raises(type(error)) as passed, explained("model"):
        raise error
    assert passed.value is error


def test_a_thread_is_silent_about_what_the_main_thread_raises_too(monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_value))
    before = threading.excepthook

    def raise_in_thread(error):
        def fail():
            raise error

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()

    full, other = OSError(errno.ENOSPC, "No space left on device"), ValueError("a bug")
    with pytest.raises(UserError), explained("model"):
        raise_in_thread(full)
        raise_in_thread(other)
        raise full
    assert seen == [other]
    assert threading.excepthook is before


def test_what_two_runs_in_threads_leave_behind_hides_nothing(monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_value))
    first, second = explained("first"), explained("second")
    for enter_or_exit in (first.__enter__, second.__enter__):
        enter_or_exit()
    for run in (first, second):
        run.__exit__(None, None, None)
    full = OSError(errno.ENOSPC, "No space left on device")
    threading.excepthook(threading.ExceptHookArgs([OSError, full, None, None]))
    assert seen == [full]
