import json
import os
import signal
import socket
import threading
import types

import pytest
import tensorflow as tf
from conftest import save_checkpoints

from contrib.learn import cluster
from contrib.learn.cluster import adapt_run_config, check_tf_config
from contrib.learn.errors import UserError
from contrib.learn.run_config import RunConfig
from contrib.learn.training import get_hooks
from contrib.learn.training_hooks import StopHook
from mnist_estimator import experiment_fn, get_hparams
from tf_estimator import Estimator, EvalSpec, TrainSpec

CLUSTER = {"chief": ["a:1"], "worker": ["b:1", "b:2"], "ps": ["c:1"]}
CHIEF = {"type": "chief", "index": 0}


@pytest.fixture
def set_tf_config(monkeypatch):
    def set_to(task_type, index, cluster=CLUSTER):
        tf_config = {"cluster": cluster, "task": {"type": task_type, "index": index}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(tf_config))

    return set_to


@pytest.mark.parametrize(
    "task",
    [("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0), ("evaluator", 0)],
)
def test_each_task_of_a_cluster_is_accepted(task, set_tf_config):
    task = {"type": task[0], "index": task[1]}
    assert check_tf_config(json.dumps({"cluster": CLUSTER, "task": task}))


@pytest.mark.parametrize("value", [None, "", "{}", '{"environment": "cloud"}'])
def test_no_cluster_is_a_single_machine(value):
    assert not check_tf_config(value)


def tf_config(task=None, **jobs):
    """CLUSTER with other jobs; None leaves one out."""
    cluster = {job: hosts for job, hosts in {**CLUSTER, **jobs}.items() if hosts is not None}
    return json.dumps({"cluster": cluster, "task": task or CHIEF})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        (json.dumps({"cluster": CLUSTER}), '"cluster" and "task"'),
        (json.dumps({"task": CHIEF}), '"cluster" and "task"'),
        (json.dumps({"cluster": [], "task": CHIEF}), '"cluster" and "task"'),
        (tf_config(boss=["d:1"]), "unknown job boss"),
        (tf_config(master=["d:1"]), "exactly one chief"),
        (tf_config(task={"type": "boss", "index": 0}), 'task type "boss"'),
        (tf_config(task={"type": ["ps"], "index": 0}), 'task type ["ps"]'),
        (tf_config(task={"type": "ps", "index": 0}, ps=None, worker=None), 'task type "ps"'),
        (tf_config(task={"type": "worker", "index": 2}), "index 2 of worker has to be in 0..1"),
        (tf_config(task={"type": "worker", "index": -1}), "index -1 of worker"),
        (tf_config(task={"type": "worker", "index": "0"}), 'index "0" of worker'),
        (tf_config(task={"type": "worker"}), "index null of worker"),
        (tf_config(task={"type": "evaluator", "index": 1}), "index 1 of evaluator has to be 0"),
        (tf_config(chief=None), "exactly one chief"),
        (tf_config(chief=["a:1", "a:2"]), "exactly one chief"),
        (tf_config(ps=None), "workers need a ps"),
        (tf_config(ps="c:1"), "ps has to be a list of addresses"),
        (tf_config(ps=[]), "ps has to be a list of addresses"),
        (tf_config(ps=["c"]), '"c" is not an address'),
        (tf_config(ps=["c:port"]), '"c:port" is not an address'),
        (tf_config(ps=["c:70000"]), '"c:70000" is not an address'),
        (tf_config(ps=[2222]), "2222 is not an address"),
        (tf_config(ps=[["c:1"]]), '["c:1"] is not an address'),
        (tf_config(ps=["a:1"]), "a:1 is there twice"),
        (tf_config(evaluator=["d:1", "d:2"]), "one evaluator at most"),
    ],
)
def test_bad_tf_config_gets_one_clear_line(value, words):
    with pytest.raises(ValueError, match="TF_CONFIG") as error:
        check_tf_config(value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("[]", "TF_CONFIG has to be a JSON object"),
        ("{", "TF_CONFIG is not JSON: Expecting property name enclosed in double quotes: line 1"),
        (
            tf_config(task={"type": "boss", "index": 0}),
            'TF_CONFIG: task type "boss" is not in "cluster", which has chief, worker, ps',
        ),
        (
            tf_config(boss=["d:1"]),
            'TF_CONFIG: unknown job boss in "cluster"; '
            "it may have chief, master, worker, ps, evaluator",
        ),
        (tf_config(ps=["c:0"]), 'TF_CONFIG: "c:0" is not an address such as host:2222'),
        (tf_config(ps=["c:65536"]), 'TF_CONFIG: "c:65536" is not an address such as host:2222'),
        (tf_config(ps=[":1"]), 'TF_CONFIG: ":1" is not an address such as host:2222'),
        (
            tf_config(task={"type": "worker", "index": True}),
            "TF_CONFIG: task index true of worker has to be in 0..1",
        ),
        (
            tf_config(task={"type": "worker", "index": 3}, worker=["b:1", "b:2", "b:3"]),
            "TF_CONFIG: task index 3 of worker has to be in 0..2",
        ),
        (
            tf_config(task={"type": "chief", "index": 1}),
            "TF_CONFIG: task index 1 of chief has to be 0",
        ),
    ],
)
def test_the_line_says_what_would_be_right(value, line):
    with pytest.raises(UserError) as error:
        check_tf_config(value)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    "value",
    [
        tf_config(ps=["c:65535"]),
        tf_config(ps=None, worker=None),
        # A chief was a master in 2017.
        tf_config(chief=None, master=["a:1"], task={"type": "master", "index": 0}),
        tf_config(evaluator=["d:1"], task={"type": "evaluator", "index": 0}),
    ],
)
def test_other_clusters_that_are_right(value):
    assert check_tf_config(value)


@pytest.mark.parametrize(
    ("task", "seed"), [(("chief", 0), 7), (("worker", 0), 8), (("worker", 1), 9)]
)
def test_each_worker_has_a_seed_of_its_own(task, seed, set_tf_config):
    set_tf_config(*task)
    assert adapt_run_config(RunConfig(tf_random_seed=7)).tf_random_seed == seed
    assert adapt_run_config(RunConfig(tf_random_seed=None)).tf_random_seed is None


def test_workers_do_not_wait_and_the_evaluator_finds_all_checkpoints(set_tf_config):
    set_tf_config("worker", 1)
    run_config = adapt_run_config(RunConfig(model_dir="model"))
    assert run_config.keep_checkpoint_max == 50
    assert run_config.experimental_max_worker_delay_secs == 0
    assert (run_config.model_dir, run_config.task_id) == ("model", 1)


@pytest.fixture
def run_task(set_tf_config, tmp_path, monkeypatch):
    """A function that runs a task in `tmp_path` with an Estimator that is only its RunConfig."""
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0)
    monkeypatch.setattr(cluster, "_check_port", lambda address: None)

    def run(task_type, train_steps, evaluate=None, stop_hook=None, eval_name=None):
        set_tf_config(task_type, 0)
        estimator = types.SimpleNamespace(
            config=RunConfig(model_dir=str(tmp_path)),
            model_dir=str(tmp_path),
            eval_dir=lambda name: str(tmp_path / (f"eval_{name}" if name else "eval")),
        )
        specs = TrainSpec(no_input, train_steps), EvalSpec(no_input, name=eval_name)
        return cluster.run_task(estimator, *specs, evaluate, stop_hook or StopHook())

    return run


def no_input():
    raise AssertionError


def step_of(checkpoint):
    return int(checkpoint.rpartition("-")[2])


def test_the_evaluator_evaluates_each_checkpoint_once_in_order_to_the_last(run_task, tmp_path):
    save_checkpoints(tmp_path, 0, 10, 20)
    evaluated = []

    def evaluate(checkpoint):
        evaluated.append(step_of(checkpoint))
        if evaluated == [10, 20]:
            save_checkpoints(tmp_path, 0, 10, 20, 30, 44)  # the chief trained on
        return {"global_step": evaluated[-1]}

    assert run_task("evaluator", 40, evaluate) == {"global_step": 44}
    assert evaluated == [10, 20, 30, 44]


@pytest.mark.parametrize("eval_name", [None, "validation"])
def test_an_evaluator_that_is_started_again_goes_on(run_task, tmp_path, caplog, eval_name):
    save_checkpoints(tmp_path, 10, 20, 30)
    eval_dir = str(tmp_path / ("eval_validation" if eval_name else "eval"))
    with tf.Graph().as_default(), tf.compat.v1.summary.FileWriter(eval_dir) as writer:
        summary = tf.compat.v1.Summary()
        summary.value.add(tag="loss", simple_value=0.5)
        writer.add_summary(summary, 10)
    evaluated = []
    run_task("evaluator", 20, lambda path: evaluated.append(step_of(path)), eval_name=eval_name)
    assert evaluated == [20, 30]
    assert "already" not in caplog.text


def test_a_signal_ends_the_evaluator_after_an_evaluation(run_task, tmp_path):
    save_checkpoints(tmp_path, 10, 20)
    stop_hook = StopHook()

    def evaluate(checkpoint):
        stop_hook.signal_number = signal.SIGTERM
        return step_of(checkpoint)

    assert run_task("evaluator", 20, evaluate, stop_hook) == 10


def test_a_signal_ends_an_evaluator_that_waits_for_a_checkpoint(run_task, monkeypatch):
    stop_hook = StopHook()

    def sleep(seconds):
        stop_hook.signal_number = signal.SIGTERM

    monkeypatch.setattr(cluster.time, "sleep", sleep)
    assert run_task("evaluator", 20, stop_hook=stop_hook) is None


@pytest.mark.parametrize("error", [tf.errors.NotFoundError(None, None, ""), ValueError()])
def test_the_evaluator_passes_over_a_checkpoint_that_is_gone(run_task, tmp_path, error):
    save_checkpoints(tmp_path, 10, 20)

    def evaluate(checkpoint):
        if step_of(checkpoint) == 10:
            (tmp_path / "model.ckpt-10.index").unlink(missing_ok=True)
            raise error
        return step_of(checkpoint)

    assert run_task("evaluator", 20, evaluate) == 20


def test_an_error_of_the_evaluation_itself_is_raised(run_task, tmp_path):
    save_checkpoints(tmp_path, 10)

    def evaluate(checkpoint):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run_task("evaluator", 10, evaluate)


@pytest.fixture
def server(monkeypatch):
    """What the parameter server was started with; nothing listens."""
    started = []

    def start(cluster_spec, job_name, task_index):
        started.append((cluster_spec.as_dict(), job_name, task_index))
        return types.SimpleNamespace(target="grpc://c:1")

    monkeypatch.setattr(tf.distribute, "Server", start)
    return started


def test_the_parameter_server_ends_a_while_after_the_last_checkpoint(
    run_task, server, tmp_path, monkeypatch, caplog
):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        save_checkpoints(tmp_path, 10 * len(slept))

    monkeypatch.setattr(cluster.time, "sleep", sleep)
    caplog.set_level("INFO", logger="absl")
    assert run_task("ps", 20) is None
    assert server == [(CLUSTER, "ps", 0)]
    assert slept == [0, 0, cluster.GRACE_SECONDS]
    assert caplog.messages == ["grpc://c:1 serves parameters to step 20", "ps 0 is done"]


def test_a_signal_ends_the_parameter_server(run_task, server, monkeypatch, caplog):
    stop_hook = StopHook()

    def sleep(seconds):
        stop_hook.signal_number = signal.SIGTERM

    monkeypatch.setattr(cluster.time, "sleep", sleep)
    caplog.set_level("INFO", logger="absl")
    assert run_task("ps", 20, stop_hook=stop_hook) is None
    assert "is done" not in caplog.text


class Exit(BaseException):
    pass


@pytest.mark.parametrize(
    ("task_type", "number", "step", "exit_code", "limit"),
    [
        ("chief", None, 20, 0, "GRACE_SECONDS"),
        ("chief", signal.SIGTERM, 10, 143, "SAVE_SECONDS"),
        ("worker", signal.SIGTERM, 10, 143, "GRACE_SECONDS"),
    ],
)
def test_training_that_hangs_ends_when_the_job_is_done_or_stopped(
    run_task, tmp_path, monkeypatch, caplog, task_type, number, step, exit_code, limit
):
    hangs, stop_hook, exit_codes = threading.Event(), StopHook(), []

    def train(estimator, train_spec, eval_spec):
        save_checkpoints(tmp_path, step)
        stop_hook.signal_number = number
        hangs.wait(60)

    def leave(code):
        exit_codes.append(code)
        raise Exit

    monkeypatch.setattr(cluster, "train_and_evaluate", train)
    monkeypatch.setattr(cluster, "_wait_for_chief", lambda config: None)
    for name in ("GRACE_SECONDS", "SAVE_SECONDS"):
        monkeypatch.setattr(cluster, name, 0.1 if name == limit else 60)
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(os, "_exit", leave)
    caplog.set_level("INFO", logger="absl")
    try:
        with pytest.raises(Exit):
            run_task(task_type, 20, stop_hook=stop_hook)
    finally:
        hangs.set()
    assert exit_codes == [exit_code]
    assert caplog.messages == ["parameter server does not respond; exiting"]


def test_training_that_ends_in_the_time_of_grace_ends_well(run_task, tmp_path, monkeypatch, caplog):
    def train(estimator, train_spec, eval_spec):
        save_checkpoints(tmp_path, 20)

    monkeypatch.setattr(cluster, "train_and_evaluate", train)
    caplog.set_level("INFO", logger="absl")
    assert run_task("chief", 20) is None
    assert caplog.messages == ["chief 0 is done"]


def test_an_error_of_training_is_raised(run_task, monkeypatch):
    def train(estimator, train_spec, eval_spec):
        raise UserError("a line")

    monkeypatch.setattr(cluster, "train_and_evaluate", train)
    with pytest.raises(UserError, match="a line"):
        run_task("chief", 20)


@pytest.mark.parametrize(("task_type", "waits"), [("chief", []), ("worker", ["waits"])])
def test_a_worker_waits_for_the_chief(run_task, monkeypatch, task_type, waits):
    calls = []
    monkeypatch.setattr(cluster, "_wait_for_chief", lambda config: calls.append("waits"))
    monkeypatch.setattr(cluster, "train_and_evaluate", lambda *args: calls.append("trains"))
    run_task(task_type, 20)
    assert calls == [*waits, "trains"]


@pytest.mark.parametrize("task_type", ["chief", "worker", "ps"])
def test_a_task_of_a_job_that_is_done_says_so(run_task, tmp_path, caplog, task_type):
    save_checkpoints(tmp_path, 2001)
    caplog.set_level("INFO", logger="absl")
    assert run_task(task_type, 2000) is None
    assert caplog.messages == [f"{tmp_path} is at step 2,000 already", f"{task_type} 0 is done"]


def test_only_the_chief_saves_checkpoints(set_tf_config, tmp_path):
    names = {}
    for task in [("chief", 0), ("worker", 0)]:
        set_tf_config(*task)
        run_config = RunConfig(model_dir=str(tmp_path))
        estimator = Estimator(lambda features: None, config=run_config)
        hooks = get_hooks(estimator, [], [], StopHook())
        names[task[0]] = [type(hook).__name__ for hook in hooks]
    assert "AlignedCheckpointSaverHook" in names["chief"]
    assert "AlignedCheckpointSaverHook" not in names["worker"]


def test_port_of_another_process_gets_one_clear_line(set_tf_config, tmp_path, small_data_dir):
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        set_tf_config("ps", 0, {"chief": ["127.0.0.1:1"], "ps": [address]})
        run_config = RunConfig(model_dir=str(tmp_path))
        experiment = experiment_fn(run_config, get_hparams(), small_data_dir)
        with pytest.raises(UserError, match=f"{address}: Address already in use"):
            experiment.train_and_evaluate()


@pytest.fixture(scope="module")
def finished_job(tmp_path_factory, small_data_dir):
    """`(model_dir, a function that makes its Experiment)` after the last of two steps."""
    model_dir = tmp_path_factory.mktemp("finished") / "model"

    def make_experiment():
        run_config = adapt_run_config(RunConfig(model_dir=str(model_dir)))
        return experiment_fn(run_config, get_hparams(train_steps=2), small_data_dir)

    make_experiment().train_and_evaluate()
    return model_dir, make_experiment


@pytest.mark.parametrize("task_type", ["chief", "worker", "ps", "evaluator"])
def test_a_finished_job_that_is_started_again_ends_at_once(
    task_type, finished_job, set_tf_config, caplog
):
    model_dir, make_experiment = finished_job
    files = sorted(path.name for path in model_dir.rglob("*"))
    set_tf_config(task_type, 0)
    caplog.set_level("INFO", logger="absl")
    make_experiment().train_and_evaluate()
    said = (
        "is evaluated up to step 2 already" if task_type == "evaluator" else "is at step 2 already"
    )
    assert f"{model_dir} {said}" in caplog.text
    assert sorted(path.name for path in model_dir.rglob("*")) == files
