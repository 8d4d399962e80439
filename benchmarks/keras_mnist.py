"""The same job with Keras: `model.fit` and its own callbacks, as the Keras guides write it."""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from idx import read_mnist
from keras import layers

EVAL_FREQUENCY = 100  # steps between two checkpoints and between two evaluations
BATCH_SIZE, EVAL_BATCH_SIZE = 128, 1000


def build_model():
    return keras.Sequential(
        [
            keras.Input([28, 28, 1]),
            layers.Rescaling(1 / 255),
            layers.Conv2D(20, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(40, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


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
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    train, test = (
        tf.data.Dataset.from_tensor_slices((images[..., None], labels))
        for images, labels in read_mnist(args.data_dir)
    )
    train = train.shuffle(len(train)).repeat().batch(BATCH_SIZE, drop_remainder=True)

    model = build_model()
    # Keras' defaults. Here, jit_compile=False with steps_per_execution=10 was up to a tenth faster.
    model.compile(
        optimizer=keras.optimizers.Adam(0.002),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    timer = EvaluationTimer()
    start_time = time.perf_counter()
    history = model.fit(
        train.prefetch(tf.data.AUTOTUNE),
        # An epoch of 100 steps: Keras evaluates and logs at the end of one.
        steps_per_epoch=EVAL_FREQUENCY,
        epochs=args.train_steps // EVAL_FREQUENCY,
        validation_data=test.batch(EVAL_BATCH_SIZE).prefetch(tf.data.AUTOTUNE),
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
