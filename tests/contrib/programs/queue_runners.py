"""A program that reads flags while it is imported, has queues, and gets an output_dir."""

import tensorflow as tf
from tensorflow.contrib.learn.python.learn import learn_runner
from tensorflow.contrib.learn.python.learn.utils import saved_model_export_utils
from tensorflow.contrib.training.python.training import hparam
from tensorflow.python.estimator.model_fn import ModeKeys

tf.app.flags.DEFINE_string("log_dir", None, "Checkpoints and summaries.")
tf.app.flags.DEFINE_integer("train_steps", 30, "Steps.")
FLAGS = tf.app.flags.FLAGS
FLAGS._parse_flags()
PARAMS = hparam.HParams(train_steps=FLAGS.train_steps, n_buckets=3)


def input_fn(is_training):
    words = tf.train.string_input_producer(
        ["a", "b", "c"], num_epochs=None if is_training else 1, shuffle=is_training
    )
    return {"word": tf.train.batch([words.dequeue()], 3)}, None


def model_fn(features, labels, mode):
    table = tf.contrib.lookup.index_table_from_tensor(mapping=tf.constant(["a", "b", "c"]))
    ids = table.lookup(features["word"])  # [B]
    weights = tf.get_variable(
        "weights",
        [PARAMS.n_buckets, 3],
        initializer=tf.contrib.layers.variance_scaling_initializer(),
    )
    logits = tf.nn.embedding_lookup(weights, ids)
    predictions = {"id": tf.argmax(logits, 1)}
    if mode == ModeKeys.PREDICT:
        outputs = {"serving_default": tf.estimator.export.PredictOutput(predictions)}
        return tf.estimator.EstimatorSpec(mode, predictions, export_outputs=outputs)
    loss = tf.losses.sparse_softmax_cross_entropy(ids, logits)
    step = tf.contrib.framework.get_or_create_global_step()
    train_op = tf.train.GradientDescentOptimizer(1.0).minimize(loss, step)
    return tf.estimator.EstimatorSpec(mode, predictions, loss, train_op)


def experiment_fn(output_dir):
    serving_input_fn = tf.estimator.export.build_raw_serving_input_receiver_fn(
        {"word": tf.placeholder(tf.string, [None])}
    )
    config = tf.contrib.learn.RunConfig(save_checkpoints_secs=None, save_checkpoints_steps=10)
    return tf.contrib.learn.Experiment(
        estimator=tf.estimator.Estimator(model_fn, output_dir, config),
        train_input_fn=lambda: input_fn(is_training=True),
        eval_input_fn=lambda: input_fn(is_training=False),
        train_steps=PARAMS.train_steps,
        eval_steps=None,
        export_strategies=[saved_model_export_utils.make_export_strategy(serving_input_fn)],
    )


def main(argv):
    _, exports = learn_runner.run(experiment_fn=experiment_fn, output_dir=FLAGS.log_dir)
    print(argv[1:], exports)


if __name__ == "__main__":
    tf.app.run()
