import os
import platform

import pytest
import tensorflow as tf
from conftest import read_values
from tensorboard.plugins.hparams import plugin_data_pb2

from contrib.learn.summary_writer_cache import get_file_writer
from summaries import run

HPARAMS = {"learning_rate": 0.01, "train_steps": 10, "precision": "bfloat16"}
SUCCESS, FAILURE = 1, 2  # statuses of TensorBoard


def write(directory, first_step, last_step):
    """What a run from one step to another writes: `({tag: value}, {tag: step})`."""
    hook = run.RunSummaryHook(str(directory), HPARAMS)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        step = tf.compat.v1.train.create_global_step()
        session.run(step.assign(first_step))
        hook.after_create_session(session, None)
        session.run(step.assign(last_step))
        hook.end(session)
    get_file_writer(str(directory)).flush()
    return read_values(directory)


def get_plugin_data(values, name):
    content = values[f"_hparams_/{name}"].metadata.plugin_data.content
    return plugin_data_pb2.HParamsPluginData.FromString(content)


def test_a_run_says_how_it_was_started(tmp_path, monkeypatch):
    monkeypatch.setattr(run.sys, "argv", ["mnist_estimator.py", "--model_dir", "a b"])
    values, steps = write(tmp_path, first_step=7, last_step=10)
    text = values["run/text_summary"]
    assert steps["run/text_summary"] == 7
    assert tf.make_ndarray(text.tensor).item().decode() == (
        "    python mnist_estimator.py --model_dir 'a b'\n\n"
        f"Python {platform.python_version()}, TensorFlow {tf.__version__}\n\n"
        "| hyperparameter | value |\n| --- | --- |\n"
        "| learning_rate | 0.01 |\n| train_steps | 10 |\n| precision | bfloat16 |\n"
    )


def test_hyperparameters_and_metrics_have_their_names_and_types(tmp_path):
    values, _ = write(tmp_path, first_step=0, last_step=10)
    experiment = get_plugin_data(values, "experiment").experiment
    types = {info.name: info.type for info in experiment.hparam_infos}
    assert types == {"learning_rate": 3, "train_steps": 3, "precision": 1}  # float64, string
    assert [info.name.tag for info in experiment.metric_infos] == ["Accuracy", "loss"]
    start = get_plugin_data(values, "session_start_info").session_start_info
    assert start.hparams["learning_rate"].number_value == 0.01
    assert start.hparams["precision"].string_value == "bfloat16"


@pytest.mark.parametrize(("last_step", "status"), [(9, FAILURE), (10, SUCCESS), (11, SUCCESS)])
def test_a_run_is_a_success_if_it_reached_train_steps(tmp_path, last_step, status):
    values, _ = write(tmp_path, first_step=7, last_step=last_step)
    assert get_plugin_data(values, "session_end_info").session_end_info.status == status


def test_the_events_are_of_this_process(tmp_path):
    write(tmp_path, first_step=0, last_step=10)
    [events] = tmp_path.iterdir()
    assert events.name.endswith(f".{os.getpid()}")
