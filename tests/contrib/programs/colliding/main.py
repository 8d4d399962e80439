"""A program of several modules, named as this project's are, with its arguments in argparse."""

import argparse
import atexit
import logging

import experiment
import tensorflow as tf
import utils

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", default="train")
    parser.add_argument("--model_dir")
    arguments = parser.parse_args()
    tf.logging._logger.setLevel(logging.INFO)
    atexit.register(print, "the end")
    result = tf.contrib.learn.learn_runner.run(
        experiment_fn=experiment.experiment_fn,
        run_config=tf.contrib.learn.RunConfig(
            model_dir=arguments.model_dir, save_checkpoints_steps=10
        ),
        schedule=arguments.mode,
        hparams=tf.contrib.training.HParams(**utils.CONFIG),
    )
    print("result", result)
