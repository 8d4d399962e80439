"""The FileWriter of a directory, which TensorFlow's hooks share."""

import os

import tensorflow as tf


def get_file_writer(output_dir):
    """Returns the FileWriter of a directory from `FileWriterCache`; puts a new one there if needed.

    A removed file needs a new FileWriter, because the last FileWriter would go on writing to it.
    TensorFlow names a file by the second only; here the process is in the name, too, so that two
    processes do not write to one file. Private: nothing public puts a FileWriter into the cache.
    """
    cache, suffix = tf.compat.v1.summary.FileWriterCache, f".{os.getpid()}"
    with cache._lock, tf.Graph().as_default():
        has_events = tf.io.gfile.isdir(output_dir) and any(
            name.startswith("events.out.tfevents.") and name.endswith(suffix)
            for name in tf.io.gfile.listdir(output_dir)
        )
        if not has_events or output_dir not in cache._cache:
            cache._cache[output_dir] = tf.compat.v1.summary.FileWriter(
                output_dir, filename_suffix=suffix
            )
        cache._cache[output_dir].reopen()  # a full disk may have closed it
        return cache._cache[output_dir]
