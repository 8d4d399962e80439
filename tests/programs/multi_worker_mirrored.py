"""A program as people have them, one task of a cluster that trains synchronously.

Run as `multi_worker_mirrored.py digits.npz directory` with a TF_CONFIG; prints what it ended
with as JSON. The numbers of TensorFlow 2.15.1 that test_tf_estimator.py expects are what it printed
there.
"""

import json
import sys

import tf_estimator

tf_estimator.install()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.compat.v1.disable_eager_execution()  # a strategy across machines has to be copied

SEED = 7
TRAIN_STEPS = 40


def model_fn(features, labels, mode):
    """Softmax regression."""
    inputs = tf.reshape(features, [-1, 784])
    logits = inputs @ tf.compat.v1.get_variable("weights", [784, 10])  # [B, 10]
    loss = tf.compat.v1.losses.sparse_softmax_cross_entropy(labels, logits)
    optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.1)
    return tf.estimator.EstimatorSpec(
        mode,
        loss=loss,
        train_op=optimizer.minimize(loss, tf.compat.v1.train.get_global_step()),
        eval_metric_ops={
            "accuracy": tf.compat.v1.metrics.accuracy(labels, tf.argmax(logits, 1)),
        },
    )


def train_dataset(input_context):
    """The images of one worker."""
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    n_workers = input_context.num_input_pipelines
    return dataset.shard(n_workers, input_context.input_pipeline_id).repeat().batch(50)


def evaluation_dataset():
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(100)


digits, directory = sys.argv[1:]
with np.load(digits) as arrays:
    images = (arrays["images"] / 255).astype("float32")
    labels = arrays["labels"].astype("int32")
strategy = tf.distribute.experimental.MultiWorkerMirroredStrategy()
config = tf.estimator.RunConfig(
    directory, SEED, save_checkpoints_steps=TRAIN_STEPS, train_distribute=strategy
)
estimator = tf.estimator.Estimator(model_fn, config=config)
tf.estimator.train_and_evaluate(
    estimator,
    tf.estimator.TrainSpec(train_dataset, max_steps=TRAIN_STEPS),
    tf.estimator.EvalSpec(evaluation_dataset, steps=None, start_delay_secs=0, throttle_secs=1),
)
weights = estimator.get_variable_value("weights")
print(json.dumps({"weights": weights.sum(dtype="float64"), "largest": float(weights.max())}))
