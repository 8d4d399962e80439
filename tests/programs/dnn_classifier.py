"""A program as people have them, with a canned estimator, and the two lines that it needs.

Run as `dnn_classifier.py digits.npz directory`; prints what it measured as JSON.
"""

import json
import sys

import tf_estimator

tf_estimator.install()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

digits, directory = sys.argv[1:]
with np.load(digits) as arrays:
    images = (arrays["images"] / 255).astype("float32")
    labels = arrays["labels"].astype("int32")


def input_fn():
    dataset = tf.data.Dataset.from_tensor_slices(({"image": images}, labels))
    return dataset.shuffle(1000).repeat(10).batch(50)


def evaluation_input_fn():
    return tf.data.Dataset.from_tensor_slices(({"image": images}, labels)).batch(100)


feature_columns = [tf.feature_column.numeric_column("image", [28, 28])]
estimator = tf.estimator.DNNClassifier([64], feature_columns, directory, 10, optimizer="Adam")
estimator.train(input_fn)
evaluated = estimator.evaluate(evaluation_input_fn)
predicted = [int(line["class_ids"][0]) for line in estimator.predict(evaluation_input_fn)]

specification = tf.feature_column.make_parse_example_spec(feature_columns)
receiver_fn = tf.estimator.export.build_parsing_serving_input_receiver_fn(specification)
path = estimator.export_saved_model(f"{directory}/export", receiver_fn)
exported = tf.saved_model.load(path.decode()).signatures["predict"]


def example(image):
    value = tf.train.Feature(float_list=tf.train.FloatList(value=image.ravel()))
    features = tf.train.Features(feature={"image": value})
    return tf.train.Example(features=features).SerializeToString()


served = exported(examples=tf.constant([example(image) for image in images]))["class_ids"].numpy()

print(
    json.dumps(
        {
            "accuracy": float(evaluated["accuracy"]),
            "accuracy of predict": float(np.mean(predicted == labels)),
            "accuracy of the export": float(np.mean(served[:, 0] == labels)),
        }
    )
)
