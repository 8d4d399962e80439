"""A program as people have them, with a TPUEstimator on a machine without a TPU.

Run as `tpu_estimator.py digits.npz directory`; prints what it measured as JSON. The numbers of
TensorFlow 2.15.1 that test_tf_estimator.py expects are what it printed there.
"""

import json
import sys

import tf_estimator

tf_estimator.install()

import numpy as np  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402
from tensorflow.compat.v1.estimator import tpu  # noqa: E402


def model_fn(features, labels, mode, params):
    """Softmax regression."""
    inputs = tf.reshape(features["image"], [-1, 784])
    logits = tf.matmul(inputs, tf.get_variable("weights", [784, 10]))  # [B, 10]
    classes = tf.argmax(logits, 1)
    if mode == tf.estimator.ModeKeys.PREDICT:
        outputs = {"serving_default": tf.estimator.export.PredictOutput({"class": classes})}
        return tpu.TPUEstimatorSpec(mode, predictions={"class": classes}, export_outputs=outputs)
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
    optimizer = tf.train.AdamOptimizer(params["learning_rate"])
    if params["use_tpu"]:
        optimizer = tf.tpu.CrossShardOptimizer(optimizer)
    return tpu.TPUEstimatorSpec(
        mode,
        loss=loss,
        train_op=optimizer.minimize(loss, tf.train.get_global_step()),
        eval_metrics=(
            lambda labels, classes: {"accuracy": tf.metrics.accuracy(labels, classes)},
            [labels, classes],
        ),
    )


def train_dataset(params):
    dataset = tf.data.Dataset.from_tensor_slices(({"image": images}, labels))
    return dataset.repeat().batch(params["batch_size"], drop_remainder=True)


def evaluation_dataset(params):
    dataset = tf.data.Dataset.from_tensor_slices(({"image": images}, labels))
    return dataset.batch(params["batch_size"], drop_remainder=True)


def serving_input_fn():
    image = tf.placeholder(tf.float32, [None, 28, 28])
    return tf.estimator.export.ServingInputReceiver({"image": image}, {"image": image})


digits, directory = sys.argv[1:]
with np.load(digits) as arrays:
    images = (arrays["images"] / 255).astype("float32")
    labels = arrays["labels"].astype("int32")
estimator = tpu.TPUEstimator(
    model_fn,
    config=tpu.RunConfig(
        model_dir=directory, tf_random_seed=7, tpu_config=tpu.TPUConfig(iterations_per_loop=10)
    ),
    params={"learning_rate": 0.002},
    use_tpu=False,
    train_batch_size=50,
    eval_batch_size=100,
    predict_batch_size=100,
)
estimator.train(train_dataset, max_steps=20)
specs = (
    tf.estimator.TrainSpec(train_dataset, max_steps=40),
    tf.estimator.EvalSpec(evaluation_dataset, steps=None, throttle_secs=0),
)
result, _ = tf.estimator.train_and_evaluate(estimator, *specs)
predicted = [int(prediction["class"]) for prediction in estimator.predict(evaluation_dataset)]
path = estimator.export_saved_model(f"{directory}/export", serving_input_fn).decode()
with tf.Graph().as_default(), tf.Session() as session:
    signatures = tf.saved_model.load(session, ["serve"], path).signature_def
    tensors = signatures["serving_default"]
    feeds = {tensors.inputs["image"].name: images}
    exported = session.run(tensors.outputs["class"].name, feeds)

print(
    json.dumps(
        {
            **{name: float(value) for name, value in result.items()},
            "accuracy of predict": float(np.mean(predicted == labels)),
            "accuracy of the export": float(np.mean(exported == labels)),
        }
    )
)
