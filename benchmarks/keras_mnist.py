"""The same job with Keras: `model.fit` and Keras's callbacks, like the guides of Keras.

Each of CHOICES may make it faster; `run.py --choices` measures which do on the machine at hand.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from keras import layers
from mnist_arrays import read_mnist

EVAL_FREQUENCY = 100  # steps between two checkpoints and between two evaluations
BATCH_SIZE, EVAL_BATCH_SIZE = 128, 1000
CHOICES = (
    "no_jit",  # jit_compile=False
    "steps_per_execution",  # 10 steps in one call
    "gather",  # shuffles numbers of images and gathers whole batches
    "relu_after_pooling",
)


def build_model(relu_after_pooling):
    def conv2d_and_max_pool(filters):
        if relu_after_pooling:
            return [layers.Conv2D(filters, 5), layers.MaxPooling2D(2), layers.ReLU()]
        return [layers.Conv2D(filters, 5, activation="relu"), layers.MaxPooling2D(2)]

    return keras.Sequential(
        [
            keras.Input([28, 28, 1]),
            layers.Rescaling(1 / 255),
            *conv2d_and_max_pool(20),
            *conv2d_and_max_pool(40),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def get_batches(arrays):
    dataset = tf.data.Dataset.from_tensor_slices(arrays)
    return dataset.shuffle(len(dataset)).repeat().batch(BATCH_SIZE, drop_remainder=True)


def get_gathered_batches(arrays):
    arrays = [tf.constant(array) for array in arrays]
    size = len(arrays[0])
    numbers = tf.data.Dataset.range(size).shuffle(size).repeat()
    numbers = numbers.batch(BATCH_SIZE, drop_remainder=True)
    return numbers.map(lambda batch: tuple(tf.gather(array, batch) for array in arrays))


class EvaluationTimer(keras.callbacks.Callback):
    """Adds up the seconds of the evaluations, which `fit` runs at the end of each epoch."""

    seconds, evaluations = 0.0, 0

    def on_test_begin(self, logs=None):
        self._start_time = time.perf_counter()

    def on_test_end(self, logs=None):
        self.seconds += time.perf_counter() - self._start_time
        self.evaluations += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--train_steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--choices", nargs="*", default=[], choices=CHOICES)
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    train, test = ((images[..., None], labels) for images, labels in read_mnist(args.data_dir))
    test_batches = tf.data.Dataset.from_tensor_slices(test).batch(EVAL_BATCH_SIZE)
    train_batches = (get_gathered_batches if "gather" in args.choices else get_batches)(train)

    model = build_model("relu_after_pooling" in args.choices)
    tuning = {"jit_compile": False} if "no_jit" in args.choices else {}
    if "steps_per_execution" in args.choices:
        tuning["steps_per_execution"] = 10
    model.compile(
        optimizer=keras.optimizers.Adam(0.002),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **tuning,
    )
    timer = EvaluationTimer()
    start_time = time.perf_counter()
    history = model.fit(
        train_batches.prefetch(tf.data.AUTOTUNE),
        # An epoch of 100 steps: Keras evaluates and logs at the end of one.
        steps_per_epoch=EVAL_FREQUENCY,
        epochs=args.train_steps // EVAL_FREQUENCY,
        validation_data=test_batches.prefetch(tf.data.AUTOTUNE),
        callbacks=[
            timer,
            keras.callbacks.ModelCheckpoint(
                os.path.join(args.output_dir, "epoch-{epoch}.keras"), save_freq=EVAL_FREQUENCY
            ),
            keras.callbacks.TensorBoard(args.output_dir),
        ],
        verbose=2,
    )
    seconds = time.perf_counter() - start_time
    print(
        json.dumps(
            {
                "steps_per_second": args.train_steps / (seconds - timer.seconds),
                "seconds_per_evaluation": timer.seconds / timer.evaluations,
                "accuracy": history.history["val_accuracy"][-1],
            }
        )
    )


if __name__ == "__main__":
    main()
