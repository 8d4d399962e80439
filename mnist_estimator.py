"""Trains and evaluates the blog's MNIST model with an Estimator, an Experiment and a Dataset.

Peter Roelants, "Higher-Level APIs in TensorFlow" (2017), on today's TensorFlow:

    python mnist_estimator.py --model_dir ./mnist_training --data_dir ./mnist_data
"""

import functools
import gc
import os
import sys
import time

from absl import app, flags, logging

import command_line
from contrib.learn import learn_runner
from contrib.training.hparam import HParams

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string("model_dir", "./mnist_training", "Where checkpoints and events are kept.")
    flags.DEFINE_string(
        "data_dir",
        "./mnist_data",
        "Directory with the four MNIST files; if it is empty or not there, they are copied there.",
    )
    flags.DEFINE_string(
        "hparams",
        "",
        f"Hyperparameters to change; with their defaults they are {HParams()}.",
    )
    flags.DEFINE_enum(
        "schedule",
        learn_runner.SCHEDULES[0],
        learn_runner.SCHEDULES,
        "What to do with the Experiment.",
    )
    flags.DEFINE_enum(
        "eval_split", "test", ["test", "validation"], "The images that evaluations use."
    )
    flags.DEFINE_integer(
        "seed",
        None,
        "Makes a run repeatable on one machine's CPU.",
        lower_bound=0,
        upper_bound=2**31 - 1,
    )
    flags.DEFINE_string(
        "export_dir",
        None,
        "Where to write a SavedModel when training ends, or to --schedule=export.",
    )
    flags.DEFINE_boolean("summary_images", True, "Whether TensorBoard gets pictures, too.")
    FLAGS.set_default("verbosity", logging.INFO)


def check_flags(argv):
    """Exits with 2 and a line if the arguments or the flags' values do not go together."""
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
        HParams().parse(FLAGS.hparams)
    except ValueError as error:
        command_line.end(error)


if __name__ == "__main__":  # before TensorFlow: its import takes seconds
    command_line.end_on_signals(os._exit)
    define_flags()
    check_flags(command_line.parse_flags(sys.argv))
    command_line.import_tensorflow()

import tf_estimator
from contrib.learn.cluster import adapt_run_config, check_tf_config
from contrib.learn.errors import UserError
from contrib.learn.experiment import Experiment
from hooks import ProgressHook, format_time
from inputs import (
    EVAL_BATCH_SIZE,
    Datasets,
    get_test_inputs,
    get_train_inputs,
    read_data_sets,
    serving_input_receiver_fn,
)
from model import BATCH_ACCURACY, BATCH_LOSS, model_fn
from contrib.learn.checkpoints import load_hparams
from summaries import EvaluationSummaryHook, RunSummaryHook


def run_experiment(argv):
    """Runs the Experiment with the schedule and the hyperparameters of the flags."""
    command_line.end_on_signals(sys.exit)
    tf_estimator.set_up_logging()
    gc.freeze()  # the collector need not look through all of TensorFlow each time
    start_time = time.monotonic()
    model_dir = os.path.expanduser(FLAGS.model_dir)
    trains = FLAGS.schedule in ("train_and_evaluate", "train")
    try:
        # What only reads a model takes it as it was trained.
        params = HParams() if trains else load_hparams(model_dir)
        result = learn_runner.run(
            experiment_fn=functools.partial(
                experiment_fn,
                data_dir=None if FLAGS.schedule == "export" else os.path.expanduser(FLAGS.data_dir),
                eval_split=FLAGS.eval_split,
                summary_images=FLAGS.summary_images,
                export_dir=FLAGS.export_dir and os.path.expanduser(FLAGS.export_dir),
            ),
            run_config=get_run_config(model_dir, FLAGS.seed, FLAGS.schedule),
            schedule=FLAGS.schedule,
            hparams=params.parse(FLAGS.hparams),
        )
    except (UserError, OSError) as error:
        sys.exit(f"mnist_estimator.py: {error}")
    if trains and result:
        log_summary(result, model_dir, time.monotonic() - start_time)


def get_run_config(model_dir, seed, schedule):
    """Creates the RunConfig of a single machine or, from `TF_CONFIG`, of a cluster's task.

    Raises:
      UserError: `TF_CONFIG` is malformed, or does not go with the schedule.
    """
    is_cluster = check_tf_config(os.environ.get("TF_CONFIG"))
    try:
        run_config = tf_estimator.RunConfig(model_dir=model_dir, tf_random_seed=seed)
    except (TypeError, ValueError) as error:  # it reads TF_CONFIG as well
        raise UserError(f"TF_CONFIG: {' '.join(str(error).split())}") from error
    if not is_cluster:
        return run_config
    if schedule != "train_and_evaluate":
        raise UserError(f"TF_CONFIG is for --schedule train_and_evaluate; unset it to {schedule}")
    return adapt_run_config(run_config)


def experiment_fn(
    run_config,
    params,
    data_dir="./mnist_data",
    eval_split="test",
    summary_images=True,
    export_dir=None,
):
    """Creates the Experiment (blog: "Experiment"); without `data_dir`, to export only."""
    no_data = Datasets(None, None, None)
    mnist_data = read_data_sets(data_dir, params.n_classes) if data_dir else no_data
    mnist_data = mnist_data._replace(test=getattr(mnist_data, eval_split))
    train_input_fn, train_input_hook = get_train_inputs(
        params.batch_size, mnist_data, params.augmentation
    )
    eval_input_fn, eval_input_hook = get_test_inputs(EVAL_BATCH_SIZE, mnist_data)
    estimator = get_estimator(run_config, params, summary_images)
    eval_name = None if eval_split == "test" else eval_split
    eval_dir = estimator.eval_dir(eval_name)
    # As with the Estimator's own summaries, one of the workers of a cluster writes them.
    summary_dir = estimator.model_dir if run_config.is_chief else None
    train_hooks = [
        train_input_hook,
        ProgressHook(
            params.train_steps, BATCH_LOSS, BATCH_ACCURACY, params.batch_size, summary_dir
        ),
    ]
    if summary_dir:
        train_hooks.append(RunSummaryHook(eval_dir, params.values()))
    return Experiment(
        estimator=estimator,
        train_input_fn=train_input_fn,
        eval_input_fn=eval_input_fn,
        train_hooks=train_hooks,
        eval_hooks=[eval_input_hook, EvaluationSummaryHook(eval_dir, summary_images)],
        train_steps=params.train_steps,
        eval_steps=None,
        min_eval_frequency=params.min_eval_frequency,
        eval_name=eval_name,
        serving_input_receiver_fn=serving_input_receiver_fn,
        export_dir=export_dir,
    )


def get_estimator(run_config, params, summary_images=True):
    """Creates the Estimator (blog: "Estimator")."""
    estimator_model_fn = functools.partial(model_fn, summary_images=summary_images)
    return tf_estimator.Estimator(model_fn=estimator_model_fn, params=params, config=run_config)


def log_summary(result, model_dir, seconds):
    """Says what a run that trained has come to, and what can be done next."""
    step, accuracy = f"{result['global_step']:,}", result.get("Accuracy")
    model_dir = command_line.quote(model_dir)
    logging.info(
        "done in %s: %s\n"
        "  the model:     %s\n"
        "  watch it:      tensorboard --logdir %s\n"
        "  read a digit:  python predict.py --model_dir %s image.png",
        format_time(seconds),
        f"trained to step {step}" if accuracy is None else f"final accuracy {accuracy:.4f}",
        model_dir,
        model_dir,
        model_dir,
    )


if __name__ == "__main__":
    app.run(run_experiment, flags_parser=command_line.parse_flags)
