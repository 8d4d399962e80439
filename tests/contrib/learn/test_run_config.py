import json

import pytest
import tensorflow as tf

import tf_estimator
from contrib.learn import RunConfig, TaskType

CLUSTER = {"chief": ["a:1"], "worker": ["b:1"], "ps": ["c:1"]}


@pytest.fixture(autouse=True)
def set_tf_config(monkeypatch):
    """A function that sets TF_CONFIG; it is not set before."""
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return lambda config: monkeypatch.setenv("TF_CONFIG", json.dumps(config))


def test_defaults_are_contribs():
    config = RunConfig()
    assert isinstance(config, tf_estimator.RunConfig)
    assert (config.save_checkpoints_secs, config.save_checkpoints_steps) == (600, None)
    assert (config.save_summary_steps, config.log_step_count_steps) == (100, 100)
    assert (config.keep_checkpoint_max, config.keep_checkpoint_every_n_hours) == (5, 10000)
    assert (config.tf_random_seed, config.model_dir) == (None, None)
    assert (config.master, config.evaluation_master, config.task_id) == ("", "", 0)
    assert (config.is_chief, config.environment) == (True, "local")


def test_each_argument_is_a_property():
    arguments = {
        "tf_random_seed": 7,
        "save_summary_steps": 8,
        "save_checkpoints_secs": 9,
        "keep_checkpoint_max": 10,
        "keep_checkpoint_every_n_hours": 11,
        "log_step_count_steps": 12,
        "protocol": "grpc",
        "master": "grpc://a:1",
        "evaluation_master": "grpc://b:1",
        "model_dir": "model",
        "session_creation_timeout_secs": 13,
    }
    config = RunConfig(**arguments)
    assert {name: getattr(config, name) for name in arguments} == arguments


@pytest.mark.parametrize(
    ("arguments", "seconds", "steps"),
    [
        ({}, 600, None),
        ({"save_checkpoints_steps": 100}, None, 100),
        ({"save_checkpoints_secs": 60}, 60, None),
        ({"save_checkpoints_secs": None, "save_checkpoints_steps": 100}, None, 100),
        ({"save_checkpoints_secs": None}, None, None),
    ],
)
def test_checkpoints_are_saved_by_time_or_by_steps(arguments, seconds, steps):
    config = RunConfig(**arguments)
    assert (config.save_checkpoints_secs, config.save_checkpoints_steps) == (seconds, steps)


def test_time_and_steps_of_checkpoints_exclude_each_other():
    with pytest.raises(ValueError, match="save_checkpoints"):
        RunConfig(save_checkpoints_secs=60, save_checkpoints_steps=100)


def test_replace_sets_the_steps_of_checkpoints_as_the_blog_does():
    config = RunConfig(model_dir="model").replace(save_checkpoints_steps=100)
    assert isinstance(config, RunConfig)
    assert (config.save_checkpoints_secs, config.save_checkpoints_steps) == (None, 100)
    assert config.model_dir == "model"


def test_a_session_is_configured_if_an_argument_asks_for_it():
    config = RunConfig(num_cores=3, log_device_placement=True, gpu_memory_fraction=0.5)
    session_config = config.session_config
    assert session_config.intra_op_parallelism_threads == 3
    assert session_config.inter_op_parallelism_threads == 3
    assert session_config.log_device_placement
    assert session_config.allow_soft_placement
    assert session_config.gpu_options.per_process_gpu_memory_fraction == 0.5
    assert RunConfig().session_config == tf_estimator.RunConfig().session_config
    given = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=2)
    assert RunConfig(session_config=given, num_cores=3).session_config == given


def test_tf_config_gives_the_cluster_and_the_task(set_tf_config):
    set_tf_config({"cluster": CLUSTER, "task": {"type": "worker", "index": 0}})
    config = RunConfig(model_dir="model")
    assert config.cluster_spec.as_dict() == CLUSTER
    assert (config.task_type, config.task_id, config.is_chief) == (TaskType.WORKER, 0, False)
    assert (config.num_ps_replicas, config.num_worker_replicas) == (1, 2)
    assert config.master == "grpc://b:1"


def test_tf_config_gives_the_environment(set_tf_config):
    set_tf_config({"environment": "cloud"})
    assert RunConfig().environment == "cloud"


def test_configurations_of_one_run_have_one_uid():
    config = RunConfig(model_dir="model")
    same = config.replace(
        tf_random_seed=7,
        save_summary_steps=8,
        save_checkpoints_steps=9,
        session_config=tf.compat.v1.ConfigProto(),
        keep_checkpoint_max=10,
        keep_checkpoint_every_n_hours=11,
        log_step_count_steps=12,
    )
    assert config.uid() == same.uid() == RunConfig(model_dir="model").uid()
    assert config.uid() != config.replace(model_dir="another").uid()
    assert config.uid() != RunConfig(model_dir="model", master="grpc://a:1").uid()


def test_a_uid_may_tell_other_arguments_apart():
    config = RunConfig(model_dir="model")
    other = config.replace(tf_random_seed=7)
    assert config.uid(whitelist=[]) != other.uid(whitelist=[])
    assert config.uid(whitelist=["tf_random_seed"]) == other.uid(whitelist=["tf_random_seed"])


def test_another_task_of_a_cluster_has_another_uid(set_tf_config):
    uids = set()
    for task_type, index in (("chief", 0), ("worker", 0), ("ps", 0)):
        set_tf_config({"cluster": CLUSTER, "task": {"type": task_type, "index": index}})
        uids.add(RunConfig(model_dir="model").uid())
    assert len(uids) == 3


def test_names_of_the_tasks():
    assert (TaskType.MASTER, TaskType.CHIEF, TaskType.PS) == ("master", "chief", "ps")
    assert (TaskType.WORKER, TaskType.EVALUATOR) == ("worker", "evaluator")
