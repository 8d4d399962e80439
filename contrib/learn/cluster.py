"""The tasks of a cluster, with between-graph replication and asynchronous training.

The environment variable `TF_CONFIG` tells each process the addresses of all tasks and its own task:

    {"cluster": {"chief": ["host0:2222"], "worker": ["host1:2222"], "ps": ["host2:2222"]},
     "task": {"type": "worker", "index": 0}}

The evaluator is a task, too. It is not in "cluster", because no task connects to it.
"""

import concurrent.futures
import json
import math
import os
import socket
import time

import tensorflow as tf
from absl import logging

from contrib.learn.errors import UserError
from contrib.learn.evaluation import find_evaluated_steps
from contrib.learn.checkpoints import find_damage, get_step, read_checkpoint_state
from tf_estimator import train_and_evaluate

JOBS = ("chief", "master", "worker", "ps", "evaluator")  # a chief was a master in 2017
POLL_SECONDS = 1
# From the last checkpoint to the end of the last step of any task.
GRACE_SECONDS = 5
# From a signal to the chief's checkpoint; Kubernetes kills a pod after 30 seconds.
SAVE_SECONDS = 25


def check_tf_config(value):
    """Returns whether this value of `TF_CONFIG` describes a cluster; None and "" do not.

    Raises:
      UserError: the value is malformed.
    """
    try:
        config = json.loads(value or "{}")
    except json.JSONDecodeError as error:
        raise UserError(f"TF_CONFIG is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise UserError("TF_CONFIG has to be a JSON object")
    if "cluster" not in config and "task" not in config:
        return False
    cluster, task = config.get("cluster"), config.get("task")
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise UserError('TF_CONFIG has to have "cluster" and "task", both JSON objects')
    _check_cluster(cluster)
    task_type, index = task.get("type"), task.get("index")
    if task_type not in (*cluster, "evaluator"):
        raise UserError(
            f'TF_CONFIG: task type {json.dumps(task_type)} is not in "cluster", '
            f"which has {', '.join(cluster)}"
        )
    n_tasks = len(cluster.get(task_type, ["the one evaluator"]))
    if type(index) is not int or not 0 <= index < n_tasks:
        raise UserError(
            f"TF_CONFIG: task index {json.dumps(index)} of {task_type} has to be "
            f"{'0' if n_tasks == 1 else f'in 0..{n_tasks - 1}'}"
        )
    return True


def _check_cluster(cluster):
    addresses = []
    for job, hosts in cluster.items():
        if job not in JOBS:
            raise UserError(
                f'TF_CONFIG: unknown job {job} in "cluster"; it may have {", ".join(JOBS)}'
            )
        if not isinstance(hosts, list) or not hosts:
            raise UserError(f"TF_CONFIG: {job} has to be a list of addresses such as host:2222")
        addresses += hosts
    for address in addresses:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise UserError(f"TF_CONFIG: {json.dumps(address)} is not an address such as host:2222")
        if addresses.count(address) > 1:
            raise UserError(f"TF_CONFIG: {address} is there twice")
    if len(cluster.get("chief", [])) + len(cluster.get("master", [])) != 1:
        raise UserError('TF_CONFIG: "cluster" has to have exactly one chief')
    if len(cluster.get("evaluator", [])) > 1:
        raise UserError('TF_CONFIG: "cluster" may have one evaluator at most')
    if "worker" in cluster and "ps" not in cluster:
        raise UserError('TF_CONFIG: workers need a ps in "cluster", which holds the parameters')


def adapt_run_config(run_config):
    """Returns a RunConfig for a task of a cluster."""
    seed = run_config.tf_random_seed
    if seed is not None and run_config.global_id_in_cluster:
        seed += run_config.global_id_in_cluster  # each worker shuffles in another order
    return run_config.replace(
        tf_random_seed=seed,
        experimental_max_worker_delay_secs=0,
        keep_checkpoint_max=50,  # an evaluator that falls behind still finds them all
    )


def run_task(estimator, train_spec, eval_spec, evaluate, stop_hook):
    """Does the part of this task until all workers together have done the last step.

    Args:
      estimator: the Estimator, whose RunConfig says which task this is.
      train_spec: `TrainSpec`.
      eval_spec: `EvalSpec`; the evaluator takes its name.
      evaluate: a function of a checkpoint's path that returns the result of its evaluation.
      stop_hook: the `StopHook` whose signals are handled.

    Returns:
      The last evaluation's result in the evaluator, None in the other tasks.

    Raises:
      UserError: another process has this task's port.
    """
    config = estimator.config
    train_steps = math.inf if train_spec.max_steps is None else train_spec.max_steps
    if config.task_type == "evaluator":
        evaluated = find_evaluated_steps(estimator.eval_dir(eval_spec.name))
        return _evaluate(estimator.model_dir, train_steps, evaluate, evaluated, stop_hook)
    if _is_done(estimator.model_dir, train_steps):
        logging.info("%s is at step %s already", estimator.model_dir, f"{train_steps:,}")
    else:
        _check_port(config.cluster_spec.task_address(config.task_type, config.task_id))
        if config.task_type == "ps":
            _serve(config, train_steps, stop_hook)
        else:
            _train(estimator, train_spec, eval_spec, train_steps, stop_hook)
    if not stop_hook.signal_number:
        logging.info("%s %d is done", config.task_type, config.task_id)
    return None


def _check_port(address):
    with socket.socket() as probe:
        if os.name == "posix":  # elsewhere the option would share the port with another process
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(address.rpartition(":")[2])))
        except OSError as error:
            raise UserError(f"TF_CONFIG: this task's {address}: {error.strerror}") from None


def _is_done(model_dir, train_steps):
    state = read_checkpoint_state(model_dir)
    return bool(state) and get_step(state.model_checkpoint_path) >= train_steps


def _train(estimator, train_spec, eval_spec, train_steps, stop_hook):
    """The chief and the workers.

    TensorFlow waits forever for a parameter server that is gone, and ignores signals. So training
    runs in a background thread. This thread watches for the last checkpoint and for signals.
    """

    def train():
        if estimator.config.task_type == "worker":
            _wait_for_chief(estimator.config)
        train_and_evaluate(estimator, train_spec, eval_spec)

    executor = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    training = executor.submit(train)
    executor.shutdown(wait=False)
    while not concurrent.futures.wait([training], POLL_SECONDS).done:
        if stop_hook.signal_number or _is_done(estimator.model_dir, train_steps):
            saves = stop_hook.signal_number and estimator.config.is_chief
            if concurrent.futures.wait([training], SAVE_SECONDS if saves else GRACE_SECONDS).done:
                break
            logging.info("parameter server does not respond; exiting")
            logging.flush()
            # A thread that waits inside TensorFlow would keep the process alive.
            os._exit(128 + stop_hook.signal_number if stop_hook.signal_number else 0)
    training.result()


def _wait_for_chief(config):
    """Waits until the chief has initialized the variables.

    TensorFlow waits, too, but looks only every 30 seconds.
    """
    with tf.Graph().as_default():
        with tf.device("/job:ps/task:0"):
            global_step = tf.compat.v1.train.create_global_step()
        is_initialized = tf.compat.v1.is_variable_initialized(global_step)
        target = f"grpc://{config.cluster_spec.task_address('ps', 0)}"
        session_config = tf.compat.v1.ConfigProto(device_filters=["/job:ps/task:0"])
        with tf.compat.v1.Session(target, config=session_config) as session:
            while not session.run(is_initialized):
                time.sleep(POLL_SECONDS)


def _serve(config, train_steps, stop_hook):
    """The parameter server; TensorFlow's own never ends."""
    server = tf.distribute.Server(
        config.cluster_spec, job_name=config.task_type, task_index=config.task_id
    )
    logging.info("%s serves parameters to step %s", server.target, f"{train_steps:,}")
    while not stop_hook.signal_number:
        if _is_done(config.model_dir, train_steps):
            time.sleep(GRACE_SECONDS)
            return
        time.sleep(POLL_SECONDS)


def _evaluate(model_dir, train_steps, evaluate, evaluated, stop_hook):
    """The evaluator: every checkpoint once, in order, until the one of `train_steps`."""
    result = None
    if max(evaluated, default=0) >= train_steps:
        logging.info("%s is evaluated up to step %s already", model_dir, f"{train_steps:,}")
    while max(evaluated, default=0) < train_steps and not stop_hook.signal_number:
        time.sleep(POLL_SECONDS)
        state = read_checkpoint_state(model_dir)
        for checkpoint in state.all_model_checkpoint_paths if state else ():
            if stop_hook.signal_number:
                return result
            if get_step(checkpoint) in {0, *evaluated}:
                continue
            try:
                result = evaluate(checkpoint)
                evaluated.add(get_step(checkpoint))
            except (tf.errors.OpError, ValueError):
                if not find_damage(
                    checkpoint
                ):  # else the checkpoint is damaged, or removed for newer checkpoints
                    raise
    return result
