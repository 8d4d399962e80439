import os

import tensorflow as tf
from conftest import read_scalars

from contrib.learn.summary_writer_cache import get_file_writer


def test_two_processes_do_not_write_to_one_file_of_events(tmp_path):
    writer = get_file_writer(str(tmp_path))
    [events] = tmp_path.iterdir()
    assert events.name.endswith(f".{os.getpid()}")
    assert get_file_writer(str(tmp_path)) is writer
    events.rename(tmp_path / "events.out.tfevents.7.of_another")
    get_file_writer(str(tmp_path)).flush()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_writer_that_a_full_disk_has_closed_writes_again(tmp_path):
    get_file_writer(str(tmp_path)).close()
    summary = tf.compat.v1.Summary()
    summary.value.add(tag="loss", simple_value=0.5)
    writer = get_file_writer(str(tmp_path))
    writer.add_summary(summary, 7)
    writer.flush()
    assert read_scalars(tmp_path, "loss") == {7: 0.5}
