"""`tf.contrib.learn.RunConfig`: `tf.estimator.RunConfig` with contrib's arguments."""

import json
import os

import tensorflow as tf

import tf_estimator

_USE_DEFAULT = 0
# What an Experiment may replace; programs that override `uid` use this name.
_DEFAULT_UID_WHITE_LIST = [
    "tf_random_seed",
    "save_summary_steps",
    "save_checkpoints_steps",
    "save_checkpoints_secs",
    "session_config",
    "keep_checkpoint_max",
    "keep_checkpoint_every_n_hours",
    "log_step_count_steps",
]


class TaskType:
    MASTER = "master"
    PS = "ps"
    WORKER = "worker"
    CHIEF = "chief"
    EVALUATOR = "evaluator"


class Environment:
    CLOUD = "cloud"
    GOOGLE = "google"
    LOCAL = "local"


class RunConfig(tf_estimator.RunConfig):
    """How an Estimator runs (blog: "a RunConfig object").

    The environment variable `TF_CONFIG` gives the cluster and the task.
    """

    def __init__(
        self,
        master=None,
        num_cores=0,
        log_device_placement=False,
        gpu_memory_fraction=1,
        tf_random_seed=None,
        save_summary_steps=100,
        save_checkpoints_secs=_USE_DEFAULT,
        save_checkpoints_steps=None,
        keep_checkpoint_max=5,
        keep_checkpoint_every_n_hours=10000,
        log_step_count_steps=100,
        protocol=None,
        evaluation_master="",
        model_dir=None,
        session_config=None,
        session_creation_timeout_secs=7200,
    ):
        """Takes the arguments of TensorFlow 1.3 to 1.15.

        Args:
          master, evaluation_master: addresses of the sessions; `TF_CONFIG` gives them in a cluster.
          num_cores: threads of a session; 0 for as many as there are cores.
          log_device_placement: whether a session logs the device of each operation.
          gpu_memory_fraction: the part of a GPU's memory that a session may take.
          save_checkpoints_secs, save_checkpoints_steps: time or steps between two checkpoints; 600
            seconds if neither is given.
          The others are the arguments of `tf.estimator.RunConfig`.

        Raises:
          ValueError: both intervals of checkpoints are given, or `TF_CONFIG` is malformed.
        """
        if save_checkpoints_secs == _USE_DEFAULT:
            save_checkpoints_secs = 600 if save_checkpoints_steps is None else None
        if session_config is None and (
            num_cores or log_device_placement or gpu_memory_fraction < 1
        ):
            session_config = tf.compat.v1.ConfigProto(
                intra_op_parallelism_threads=num_cores,
                inter_op_parallelism_threads=num_cores,
                log_device_placement=log_device_placement,
                gpu_options=tf.compat.v1.GPUOptions(
                    per_process_gpu_memory_fraction=gpu_memory_fraction
                ),
                allow_soft_placement=True,
            )
        super().__init__(
            model_dir=model_dir,
            tf_random_seed=tf_random_seed,
            save_summary_steps=save_summary_steps,
            save_checkpoints_steps=save_checkpoints_steps,
            save_checkpoints_secs=save_checkpoints_secs,
            session_config=session_config,
            keep_checkpoint_max=keep_checkpoint_max,
            keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
            log_step_count_steps=log_step_count_steps,
            protocol=protocol,
            session_creation_timeout_secs=session_creation_timeout_secs,
        )
        if master is not None:
            self._master = master
        if evaluation_master:
            self._evaluation_master = evaluation_master

    @property
    def environment(self):
        """ "cloud" or "local", from `TF_CONFIG`."""
        return json.loads(os.environ.get("TF_CONFIG") or "{}").get("environment", Environment.LOCAL)

    def uid(self, whitelist=None):
        """A string that two configurations share if they differ in the whitelist at most."""
        replaceable = _DEFAULT_UID_WHITE_LIST if whitelist is None else whitelist
        state = {**vars(self), "_cluster_spec": self.cluster_spec.as_dict()}
        for name in replaceable:
            state.pop(f"_{name}", None)
        return repr(sorted(state.items()))
