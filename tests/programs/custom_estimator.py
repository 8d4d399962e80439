"""A program as people have them, with its own `model_fn`, and the two lines that it needs.

Run as `custom_estimator.py digits.npz directory`; prints what it measured as JSON. The numbers of
TensorFlow 2.15.1 that test_tf_estimator.py expects are what it printed there.
"""

import json
import os
import sys

import tf_estimator

tf_estimator.install()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

SEED = 7


def model_fn(features, labels, mode, params):
    """Softmax regression with a hidden layer."""
    inputs = tf.reshape(features["image"], [-1, 784])
    hidden = tf.compat.v1.get_variable("hidden", [784, 32])
    output = tf.compat.v1.get_variable("output", [32, 10])
    logits = tf.nn.relu(inputs @ hidden) @ output  # [B, 10]
    classes = tf.argmax(logits, 1)
    if mode == tf.estimator.ModeKeys.PREDICT:
        outputs = {"serving_default": tf.estimator.export.PredictOutput({"class": classes})}
        return tf.estimator.EstimatorSpec(mode, {"class": classes}, export_outputs=outputs)
    loss = tf.compat.v1.losses.sparse_softmax_cross_entropy(labels, logits)
    optimizer = tf.compat.v1.train.AdamOptimizer(params["learning_rate"])
    return tf.estimator.EstimatorSpec(
        mode,
        loss=loss,
        train_op=optimizer.minimize(loss, tf.compat.v1.train.get_global_step()),
        eval_metric_ops={"accuracy": tf.compat.v1.metrics.accuracy(labels, classes)},
    )


def get_estimator(name, learning_rate=0.002, warm_start_from=None, **kwargs):
    return tf.estimator.Estimator(
        model_fn,
        os.path.join(directory, name),
        tf.estimator.RunConfig(tf_random_seed=SEED, save_checkpoints_steps=20, **kwargs),
        {"learning_rate": learning_rate},
        warm_start_from,
    )


def train_dataset():
    dataset = tf.data.Dataset.from_tensor_slices(({"image": images}, labels))
    return dataset.shuffle(1000, SEED).repeat().batch(50)


def serving_input_fn():
    image = tf.compat.v1.placeholder(tf.float32, [None, 28, 28])
    return tf.estimator.export.ServingInputReceiver({"image": image}, {"image": image})


def floats(result):
    return {name: float(value) for name, value in result.items()}


digits, directory = sys.argv[1:]
with np.load(digits) as arrays:
    images = (arrays["images"] / 255).astype("float32")
    labels = arrays["labels"].astype("int32")
evaluation_input_fn = tf.compat.v1.estimator.inputs.numpy_input_fn(
    {"image": images}, labels, batch_size=100, shuffle=False
)
measured = {}

for name, strategy in (
    ("no strategy", None),
    ("OneDeviceStrategy", tf.distribute.OneDeviceStrategy("/cpu:0")),
    ("MirroredStrategy", tf.distribute.MirroredStrategy(["/cpu:0"])),
):
    estimator = get_estimator(name.split()[0], train_distribute=strategy)
    estimator.train(train_dataset, steps=60)
    measured[name] = floats(estimator.evaluate(evaluation_input_fn))

source = os.path.join(directory, "no")
warm_started = get_estimator("warm", 0.0, tf.estimator.WarmStartSettings(source, ".*"))
warm_started.train(train_dataset, steps=1)
measured["WarmStartSettings"] = floats(warm_started.evaluate(evaluation_input_fn))

estimator = get_estimator("stopped")
stop = tf.estimator.experimental.stop_if_higher_hook(
    estimator, "accuracy", 0.8, run_every_secs=None, run_every_steps=10
)
result, exports = tf.estimator.train_and_evaluate(
    estimator,
    tf.estimator.TrainSpec(train_dataset, max_steps=500, hooks=[stop]),
    tf.estimator.EvalSpec(
        evaluation_input_fn,
        exporters=tf.estimator.BestExporter(serving_input_receiver_fn=serving_input_fn),
        throttle_secs=0,
    ),
)
measured["stop_if_higher_hook"] = floats(result)
exported = tf.saved_model.load(exports[0].decode()).signatures["serving_default"]
classes = exported(image=tf.constant(images))["class"].numpy()
measured["BestExporter"] = float(np.mean(classes == labels))

print(json.dumps(measured, indent=1))
