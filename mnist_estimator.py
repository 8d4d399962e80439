"""Trains and evaluates the blog's MNIST model with an Estimator, an Experiment and a Dataset.

Peter Roelants, "Higher-Level APIs in TensorFlow" (2017), on today's TensorFlow:

    python mnist_estimator.py --model_dir ./mnist_training --data_dir ./mnist_data
"""

import functools
import gc
import os
import sys
import time

from absl import flags, logging

import command_line
from command_line.hyperparameters import describe, load_hparams, parse_hparams
from contrib import learn
from contrib.training import HParams

FLAGS = flags.FLAGS
SCHEDULES = ("train_and_evaluate", "train", "evaluate", "export")
EVAL_BATCH_SIZE = 250  # larger than in the blog: same accuracy, faster, in little memory


def define_flags():
    flags.DEFINE_string("model_dir", "./mnist_training", "Directory of the checkpoints and events.")
    flags.DEFINE_string(
        "data_dir",
        "./mnist_data",
        "Directory of the four MNIST files; an empty or missing directory gets bundled files.",
    )
    flags.DEFINE_string(
        "hparams",
        "",
        f"Hyperparameters to change. The defaults are {describe(get_hparams())}.",
    )
    flags.DEFINE_enum(
        "schedule",
        SCHEDULES[0],
        SCHEDULES,
        "The method of the Experiment to run.",
    )
    flags.DEFINE_enum("eval_split", "test", ["test", "validation"], "The images for evaluations.")
    flags.DEFINE_integer(
        "seed",
        None,
        "Seed that makes a run repeatable on one machine's CPU.",
        lower_bound=0,
        upper_bound=2**31 - 1,
    )
    flags.DEFINE_string(
        "export_dir",
        None,
        "Where to write a SavedModel: after training, or with --schedule=export.",
    )
    flags.DEFINE_boolean(
        "summary_images", True, "Whether to write image summaries for TensorBoard."
    )
    FLAGS.set_default("verbosity", logging.INFO)


def check_flags(argv):
    """Exits with 2 and one line if arguments or values of flags do not go together."""
    if len(argv) > 1:
        command_line.end(f"unexpected argument {argv[1]}; it takes flags only")
    command_line.check_model_dir(FLAGS.model_dir)
    for name in ("data_dir", "export_dir"):
        if FLAGS[name].value == "":
            command_line.end(f"--{name} is empty; give a directory")
    if FLAGS.export_dir:
        command_line.check_encoding("export_dir", FLAGS.export_dir)
    if FLAGS.schedule == "export" and not FLAGS.export_dir:
        command_line.end("--schedule=export needs --export_dir, where to write the SavedModel")
    if FLAGS.schedule == "evaluate" and FLAGS.export_dir:
        command_line.end("--schedule=evaluate exports nothing; --schedule=export does")
    try:
        parse_hparams(get_hparams(), FLAGS.hparams)
    except ValueError as error:
        command_line.end(error)


def get_hparams(**values):
    """Returns the `HParams`: the four of the blog and four more; `values` replace the defaults."""
    return HParams(
        learning_rate=0.002,
        n_classes=10,
        train_steps=5000,
        min_eval_frequency=100,
        batch_size=128,
        precision="float32",
        augmentation="none",
        learning_rate_decay="none",
    ).override_from_dict(values)


def get_session_config():
    """Returns the configuration of this run's sessions; None leaves it to TensorFlow.

    Training on one machine does two operations of one thread each at a time, or more on more cores,
    because the threads of one operation wait for each other. See `model.towers`.
    """
    import tensorflow as tf

    trains = FLAGS.schedule in ("train_and_evaluate", "train")
    if not trains or os.environ.get("TF_CONFIG") or tf.config.list_physical_devices("GPU"):
        return None
    has_affinity = hasattr(os, "sched_getaffinity")  # Linux; `taskset` narrows it
    n_cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=min(n_cores, 4),
        allow_soft_placement=True,  # this option and the next are the Estimator's defaults
    )
    config.graph_options.rewrite_options.meta_optimizer_iterations = 1
    return config if n_cores > 1 else None


def run_experiment(argv):
    """Runs the Experiment with the schedule and the hyperparameters of the flags."""
    from contrib.learn.errors import UserError
    from contrib.learn.training import get_latest_step

    gc.freeze()  # the garbage collector need not look through all of TensorFlow each time
    start_time = time.monotonic()
    model_dir = os.path.expanduser(FLAGS.model_dir)
    export_dir = FLAGS.export_dir and os.path.expanduser(FLAGS.export_dir)
    trains = FLAGS.schedule in ("train_and_evaluate", "train")
    try:
        # A schedule that only reads a model uses the saved hyperparameters.
        params = get_hparams() if trains else load_hparams(get_hparams(), model_dir)
        parse_hparams(params, FLAGS.hparams)
        run_config = get_run_config(
            model_dir, FLAGS.seed, FLAGS.schedule, params, get_session_config()
        )
        if FLAGS.schedule == "export":
            experiment = functools.partial(export_experiment_fn, export_dir=export_dir)
        else:
            experiment = functools.partial(
                experiment_fn,
                data_dir=os.path.expanduser(FLAGS.data_dir),
                eval_split=FLAGS.eval_split,
                summary_images=FLAGS.summary_images,
                export_dir=export_dir,
            )
        result = learn.learn_runner.run(
            experiment_fn=experiment,  # first-class function
            run_config=run_config,
            schedule=FLAGS.schedule,
            hparams=params,
        )
    except (UserError, OSError) as error:
        sys.exit(f"mnist_estimator.py: {error}")
    if FLAGS.schedule == "train_and_evaluate" and result[0]:
        log_summary(f"final accuracy {result[0]['Accuracy']:.4f}", model_dir, start_time)
    elif FLAGS.schedule == "train":
        log_summary(f"trained to step {get_latest_step(result):,}", model_dir, start_time)


def get_run_config(model_dir, seed, schedule, params, session_config=None):
    """Returns the RunConfig of one machine or, from `TF_CONFIG`, of a task of a cluster.

    Raises:
      UserError: `TF_CONFIG` is malformed, or the schedule is not for a cluster.
    """
    from contrib.learn.cluster import adapt_run_config, check_tf_config
    from contrib.learn.errors import UserError

    is_cluster = check_tf_config(os.environ.get("TF_CONFIG"))
    try:
        run_config = learn.RunConfig(
            model_dir=model_dir,
            tf_random_seed=seed,
            save_checkpoints_steps=params.min_eval_frequency,
            session_config=session_config,
        )
    except (TypeError, ValueError) as error:  # RunConfig reads TF_CONFIG, too
        raise UserError(f"TF_CONFIG: {' '.join(str(error).split())}") from error
    if not is_cluster:
        return run_config
    if schedule != "train_and_evaluate":
        raise UserError(
            "TF_CONFIG is for --schedule train_and_evaluate; "
            f"unset TF_CONFIG to run --schedule={schedule}"
        )
    return adapt_run_config(run_config)


def experiment_fn(
    run_config,
    params,
    data_dir="./mnist_data",
    eval_split="test",
    summary_images=True,
    export_dir=None,
):
    """Returns the Experiment (blog: "Experiment")."""
    from contrib.learn.datasets.mnist import read_data_sets
    from hooks import ProgressHook
    from inputs import get_test_inputs, get_train_inputs, serving_input_receiver_fn
    from model import get_precision
    from summaries import RunSummaryHook

    mnist_data = read_data_sets(data_dir, params.n_classes)
    eval_name = "" if eval_split == "test" else eval_split
    estimator = get_estimator(run_config, params, eval_name, summary_images)
    train_input_fn, train_input_hook = get_train_inputs(
        params.batch_size, mnist_data, params.augmentation
    )
    eval_input_fn, eval_input_hook = get_test_inputs(EVAL_BATCH_SIZE, mnist_data, eval_split)
    # In a cluster the chief writes summaries, like the Estimator's own summaries.
    summary_dir = estimator.model_dir if run_config.is_chief else None
    train_monitors = [
        train_input_hook,
        ProgressHook(params.train_steps, params.batch_size, summary_dir),
    ]
    if summary_dir:
        used = {**params.values(), "precision": get_precision(params)}
        train_monitors.append(RunSummaryHook(estimator.eval_dir(eval_name), used))
    return learn.Experiment(
        estimator=estimator,
        train_input_fn=train_input_fn,
        eval_input_fn=eval_input_fn,
        train_steps=params.train_steps,
        min_eval_frequency=params.min_eval_frequency,
        train_monitors=train_monitors,
        eval_hooks=[eval_input_hook],
        eval_steps=None,
        eval_delay_secs=0,
        eval_name=eval_name,
        evaluation=learn.Evaluation,
        export_dir=export_dir,
        serving_input_receiver_fn=serving_input_receiver_fn,
    )


def export_experiment_fn(run_config, params, export_dir):
    """Returns an Experiment that needs no data, because it only exports."""
    from inputs import serving_input_receiver_fn

    return learn.Experiment(
        estimator=get_estimator(run_config, params),
        train_input_fn=None,
        eval_input_fn=None,
        export_dir=export_dir,
        serving_input_receiver_fn=serving_input_receiver_fn,
    )


def get_estimator(run_config, params, eval_name="", summary_images=True):
    """Returns the Estimator (blog: "Estimator")."""
    from model import model_fn
    from tf_estimator import Estimator

    return Estimator(
        model_fn=functools.partial(model_fn, eval_name=eval_name, summary_images=summary_images),
        params=params,
        config=run_config,
    )


def log_summary(outcome, model_dir, start_time):
    """Logs the outcome of training and the next commands."""
    from contrib.learn.errors import quote
    from hooks import format_time

    quoted = quote(model_dir)
    logging.info(
        "done in %s: %s\n"
        "  the model:     %s\n"
        "  watch it:      tensorboard --logdir %s\n"
        "  read a digit:  python predict.py --model_dir %s image.png",
        format_time(time.monotonic() - start_time),
        outcome,
        quoted,
        quoted,
        quoted,
    )


if __name__ == "__main__":
    command_line.run(run_experiment, define_flags, check_flags, get_session_config)
