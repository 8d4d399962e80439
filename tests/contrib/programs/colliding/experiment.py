import tensorflow as tf
from hooks import print_variables
from inputs import get_inputs
from model import model_fn


def experiment_fn(run_config, params):
    train_input_fn, train_input_hook = get_inputs("train")
    eval_input_fn, eval_input_hook = get_inputs("test")
    return tf.contrib.learn.Experiment(
        tf.estimator.Estimator(model_fn, config=run_config, params=params),
        train_input_fn,
        eval_input_fn,
        train_steps=20,
        min_eval_frequency=10,
        train_monitors=[train_input_hook, print_variables(["train/input_0"], every_n_iter=10)],
        eval_hooks=[eval_input_hook],
    )
