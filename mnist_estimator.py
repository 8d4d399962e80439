"""Trains and evaluates the blog's MNIST model with an Estimator, an Experiment and a Dataset.

Peter Roelants, "Higher-Level APIs in TensorFlow" (2017), on today's TensorFlow:

    python mnist_estimator.py --model_dir ./mnist_training --data_dir ./mnist_data
"""

import functools
import gc
import os
import shlex
import sys
import time

from absl import app, flags, logging

import tf_estimator  # before TensorFlow, to keep its import quiet
from cluster import adapt_run_config, check_tf_config
from experiment import SCHEDULES, Experiment
from hooks import EvaluationSummaryHook, ProgressHook, RunSummaryHook, format_time
from inputs import (
    EVAL_BATCH_SIZE,
    get_test_inputs,
    get_train_inputs,
    read_data_sets,
    serving_input_receiver_fn,
)
from model import (
    BATCH_ACCURACY,
    BATCH_LOSS,
    EVAL_CLASS,
    EVAL_IMAGES,
    EVAL_LABELS,
    EVAL_PROBABILITIES,
    HParams,
    model_fn,
)
from model_dir import check_checkpoint, errors_for_people, lock, set_damaged_checkpoints_aside
from tf_estimator import ModeKeys

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string("model_dir", "./mnist_training", "Where checkpoints and events are kept.")
    flags.DEFINE_string(
        "data_dir",
        "./mnist_data",
        "Directory with the four MNIST files, or with none of them: then they are copied there.",
    )
    flags.DEFINE_string(
        "hparams", "", 'Hyperparameters to change, such as "learning_rate=0.01,train_steps=2000".'
    )
    flags.DEFINE_enum("schedule", SCHEDULES[0], SCHEDULES, "What to do with the Experiment.")
    flags.DEFINE_enum(
        "eval_split", "test", ["test", "validation"], "The images that evaluations use."
    )
    flags.DEFINE_integer(
        "seed", None, "Makes a run repeatable on one machine.", lower_bound=0, upper_bound=2**31 - 1
    )
    flags.DEFINE_string(
        "export_dir",
        None,
        "Where to write a SavedModel when training ends, or to --schedule=export.",
    )
    flags.DEFINE_boolean("summary_images", True, "Whether TensorBoard gets pictures, too.")
    FLAGS.set_default("verbosity", logging.INFO)


def run_experiment(argv):
    """Runs the Experiment with the schedule and the hyperparameters of the flags."""
    if len(argv) > 1:
        sys.exit(f"unexpected argument {argv[1]}; mnist_estimator.py takes flags only, see --help")
    tf_estimator.set_up_logging()
    gc.freeze()  # the collector need not look through all of TensorFlow each time
    start_time = time.time()
    trains = FLAGS.schedule in ("train_and_evaluate", "train")
    if FLAGS.schedule == "export" and not FLAGS.export_dir:
        sys.exit("--schedule=export needs --export_dir, where to write the SavedModel")
    try:
        # What only reads a model takes it as it was trained.
        params = (HParams() if trains else HParams.load(FLAGS.model_dir)).parse(FLAGS.hparams)
        run_config = get_run_config(FLAGS.model_dir, FLAGS.seed, FLAGS.schedule)
        experiment = experiment_fn(
            run_config,
            params,
            FLAGS.data_dir,
            FLAGS.eval_split,
            FLAGS.summary_images,
            FLAGS.export_dir,
        )
    except (ValueError, OSError) as error:
        sys.exit(f"mnist_estimator.py: {error}")
    with errors_for_people(run_config.model_dir), experiment.stop_hook.handlers():
        logging.info("hyperparameters: %s", params.to_json())
        result = run_schedule(experiment, params, FLAGS.schedule)
    if experiment.stop_hook.signal_number:
        logging.info(
            "stopped at step %s of %s; to go on, run the same command again",
            f"{experiment.latest_step():,}",
            f"{params.train_steps:,}",
        )
        sys.exit(128 + experiment.stop_hook.signal_number)
    if FLAGS.schedule == "train_and_evaluate" and result:
        log_summary(experiment, result, time.time() - start_time)


def get_run_config(model_dir, seed, schedule):
    """Creates the RunConfig of a single machine or, from `TF_CONFIG`, of a cluster's task.

    Raises:
      ValueError: `TF_CONFIG` is malformed, or does not go with the schedule.
    """
    is_cluster = check_tf_config(os.environ.get("TF_CONFIG"))
    run_config = tf_estimator.RunConfig(model_dir=model_dir, tf_random_seed=seed)
    if not is_cluster:
        return run_config
    if schedule != "train_and_evaluate":
        raise ValueError(f"TF_CONFIG is for --schedule train_and_evaluate; unset it to {schedule}")
    return adapt_run_config(run_config)


def run_schedule(experiment, params, schedule):
    """Calls the method of that name; one that trains has the model directory to itself."""
    estimator = experiment.estimator
    if schedule in ("evaluate", "export"):
        check_checkpoint(estimator, experiment.eval_input_fn, ModeKeys.EVAL)
        return getattr(experiment, schedule)()
    if not estimator.config.is_chief:
        return getattr(experiment, schedule)()
    with lock(estimator.model_dir):
        set_damaged_checkpoints_aside(estimator.model_dir)
        check_checkpoint(estimator, experiment.train_input_fn, ModeKeys.TRAIN)
        params.save(estimator.model_dir)
        result = getattr(experiment, schedule)()
        if experiment.export_dir and not experiment.stop_hook.signal_number:
            experiment.export()
        return result


def experiment_fn(
    run_config,
    params,
    data_dir="./mnist_data",
    eval_split="test",
    summary_images=True,
    export_dir=None,
):
    """Creates the Experiment (blog: "Experiment")."""
    mnist_data = read_data_sets(data_dir, params.n_classes)
    mnist_data = mnist_data._replace(test=getattr(mnist_data, eval_split))
    train_input_fn, train_input_hook = get_train_inputs(params.batch_size, mnist_data)
    eval_input_fn, eval_input_hook = get_test_inputs(EVAL_BATCH_SIZE, mnist_data)
    estimator = get_estimator(run_config, params, summary_images)
    # As with the Estimator's own summaries, one of the workers of a cluster writes them.
    summary_dir = estimator.model_dir if run_config.is_chief else None
    train_hooks = [
        train_input_hook,
        ProgressHook(
            params.train_steps, BATCH_LOSS, BATCH_ACCURACY, params.batch_size, summary_dir
        ),
    ]
    if summary_dir:
        train_hooks.append(RunSummaryHook(estimator.eval_dir(), params.values()))
    return Experiment(
        estimator=estimator,
        train_input_fn=train_input_fn,
        eval_input_fn=eval_input_fn,
        train_hooks=train_hooks,
        eval_hooks=[
            eval_input_hook,
            EvaluationSummaryHook(
                estimator.eval_dir(),
                EVAL_IMAGES,
                EVAL_LABELS,
                EVAL_CLASS,
                EVAL_PROBABILITIES,
                summary_images,
            ),
        ],
        train_steps=params.train_steps,
        eval_steps=None,
        min_eval_frequency=params.min_eval_frequency,
        serving_input_receiver_fn=serving_input_receiver_fn,
        export_dir=export_dir,
    )


def get_estimator(run_config, params, summary_images=True):
    """Creates the Estimator (blog: "Estimator")."""
    estimator_model_fn = functools.partial(model_fn, summary_images=summary_images)
    return tf_estimator.Estimator(model_fn=estimator_model_fn, params=params, config=run_config)


def log_summary(experiment, result, seconds):
    best_step = max(experiment.results, key=lambda step: experiment.results[step]["Accuracy"])
    model_dir = shlex.quote(experiment.estimator.model_dir)
    logging.info(
        "done in %s: final accuracy %.4f, best %.4f at step %s\n"
        "  the model:     %s\n"
        "  watch it:      tensorboard --logdir %s\n"
        "  read a digit:  python predict.py --model_dir %s image.png",
        format_time(seconds),
        result["Accuracy"],
        experiment.results[best_step]["Accuracy"],
        f"{best_step:,}",
        model_dir,
        model_dir,
        model_dir,
    )


if __name__ == "__main__":
    define_flags()
    app.run(run_experiment)
