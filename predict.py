"""Reads the digits of image files with the model that mnist_estimator.py trained.

    python predict.py image.png

Blog: "Once we trained the model we can run estimator.predict to predict the class of a given
image."
"""

import collections
import contextlib
import gzip
import itertools
import json
import os
import pathlib
import sys
import time

import numpy as np
from absl import flags
from PIL import Image

import command_line
from command_line.hyperparameters import load_hparams
from contrib.learn.datasets.mnist import IMAGE_SIZE
from mnist_estimator import get_hparams

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string("model_dir", "./mnist_training", "Where mnist_estimator.py kept the model.")
    flags.DEFINE_integer("top_k", 1, "How many of the most likely classes to print.", lower_bound=1)
    flags.DEFINE_boolean("show", False, "Print each image as the network sees it.")
    flags.DEFINE_boolean("json", False, "Print a JSON object a line: path, class, probabilities.")


def check_flags(argv):
    """Exits with 2 and a line if images are missing or the flags do not go together."""
    if len(argv) < 2:
        command_line.end("which images? usage: predict.py [--flags] IMAGE_OR_DIRECTORY ...")
    command_line.check_model_dir(FLAGS.model_dir)
    if FLAGS.show and FLAGS.json:
        command_line.end("--show draws for people, --json writes for programs; give one of them")


def main(argv):
    """Prints a line for each image; returns 1 if an image could not be read, else 0."""
    from contrib.learn.errors import UserError
    from contrib.learn.explained import explained

    if sys.stdout is None:
        sys.exit("predict.py: standard output is closed; the answers go there")
    sys.stdout.reconfigure(errors="backslashreplace")  # for names that a terminal can't show
    os.environ.pop("TF_CONFIG", None)  # in the pod of a cluster; predict.py is no task of it
    model_dir = os.path.expanduser(FLAGS.model_dir)
    failures = []

    def report(path, error):
        failures.append(path)
        with contextlib.suppress(OSError):  # as a log on a full disk; the answers matter more
            print(f"{path}: {error}", file=sys.stderr)

    paths = find_images(argv[1:], report)
    try:
        with explained(model_dir):
            for path, image, prediction in predict_images(model_dir, paths, report):
                try:
                    print_prediction(path, image, prediction)
                except OSError as error:  # of standard output
                    return 1 if command_line.discard_output(error) or failures else 0
    except UserError as error:
        print(f"predict.py: {error}", file=sys.stderr)
        return 1
    return 1 if failures else 0


def print_prediction(path, image, prediction):
    """Prints an image, if the flags ask for it, and its prediction."""
    if FLAGS.show:
        print(draw(image, sys.stdout.encoding))
    if FLAGS.json:
        print(to_json(path, prediction), flush=True)
    else:
        print(to_text(path, prediction, FLAGS.top_k), flush=True)


def load_estimator(model_dir):
    """Returns the Estimator that was trained in `model_dir`."""
    from model import model_fn
    from tf_estimator import Estimator, RunConfig

    params = load_hparams(get_hparams(), model_dir)
    return Estimator(model_fn, config=RunConfig(model_dir=model_dir), params=params)


def find_images(arguments, report):
    """Yields the path of each image; a directory stands for its image files in name order."""
    extensions = {
        extension
        for extension, image_format in Image.registered_extensions().items()
        if image_format in Image.OPEN  # not what Pillow only writes, such as PDF
    }
    for argument in arguments:
        if not os.path.isdir(argument):
            yield argument
            continue
        try:
            files = pathlib.Path(argument).iterdir()
            inside = sorted(
                file for file in files if file.suffix.lower() in extensions and not file.is_dir()
            )
        except OSError as error:
            report(argument, error.strerror)
            continue
        if not inside:
            report(argument, "a directory without image files")
        yield from map(str, inside)


def predict_images(model_dir, paths, report):
    """Yields `(path, image, prediction)` for each image that shows a digit, all in one session.

    `image` is uint8 [28, 28]; `prediction` has `class` and `probabilities` as `model_fn` has them.
    """
    import tensorflow as tf

    from contrib.learn.checkpoints import CheckpointCheckHook, find_whole_checkpoint
    from handwriting.evidence import find_evidence, weigh
    from handwriting.images import prepare_image, read_image

    estimator = load_estimator(model_dir)
    checkpoint_path = find_whole_checkpoint(model_dir)
    mnist_images = read_mnist_images(500)
    read = collections.deque()  # paths and readings, not yet predicted: a few batches

    def prepared_batches():
        yield mnist_images
        batch, start_time = [], time.monotonic()
        for path in paths:
            try:
                if path == "-" and sys.stdin is None:
                    raise ValueError("standard input is closed")
                readings = prepare_image(read_image(sys.stdin.buffer if path == "-" else path))
            except ValueError as error:
                report(path, error)
                continue
            read.append((path, readings))
            batch += [reading.image for reading in readings]
            # Nobody waits for the answers, and Ctrl-C not for a batch of photographs.
            if len(batch) >= 128 or time.monotonic() - start_time > 0.5:
                yield np.stack(batch)
                batch, start_time = [], time.monotonic()
        if batch:
            yield np.stack(batch)

    def input_fn():
        signature = tf.TensorSpec([None, IMAGE_SIZE, IMAGE_SIZE], tf.uint8)
        batches = tf.data.Dataset.from_generator(prepared_batches, output_signature=signature)
        return batches.prefetch(1)  # images are prepared while the network reads others

    hooks = [CheckpointCheckHook(checkpoint_path)]
    predictions = estimator.predict(input_fn, None, hooks, checkpoint_path)
    mnist_logits = [next(predictions)["logits"] for _ in mnist_images]
    usual = np.percentile(find_evidence(mnist_logits), 10)
    for first in predictions:
        path, readings = read.popleft()
        of_page = [first, *itertools.islice(predictions, len(readings) - 1)]
        chosen, prediction = weigh(readings, of_page, usual)
        if chosen is None:
            report(path, "no digit found")
        else:
            yield path, readings[chosen].image, prediction


def read_mnist_images(n):
    """Returns the first n images of the bundled validation split, uint8 [n, 28, 28]."""
    # Not by `read_data_sets`, because a person waits for the prediction and all files take longer.
    from contrib.learn.datasets.mnist import BUNDLED_DATA_DIR, TRAIN_IMAGES

    with gzip.open(BUNDLED_DATA_DIR / f"{TRAIN_IMAGES}.gz") as file:
        return np.frombuffer(file.read(16 + n * 28 * 28)[16:], np.uint8).reshape(-1, 28, 28)


def to_text(path, prediction, top_k):
    """For example "seven.png: 7 (99.8%), 1 (0.1%)" with a `top_k` of 2."""
    probabilities = prediction["probabilities"]
    likely = probabilities.argsort()[::-1][:top_k]
    return f"{path}: " + ", ".join(f"{label} ({probabilities[label]:.1%})" for label in likely)


def to_json(path, prediction):
    probabilities = [round(float(probability), 6) for probability in prediction["probabilities"]]
    return json.dumps(
        {"path": path, "class": int(prediction["class"]), "probabilities": probabilities}
    )


def draw(image, encoding):
    """A 28x28 image in 14 lines of text: each character holds two pixels, one above the other."""
    characters = " ▄▀█"
    try:
        characters.encode(encoding)
    except UnicodeEncodeError:
        characters = " .'#"  # for a terminal that has no block characters
    pixels = image >= 128
    blocks = np.array(list(characters))[2 * pixels[::2] + pixels[1::2]]  # [14, 28]
    return "\n".join(map("".join, blocks))


if __name__ == "__main__":
    command_line.run(main, define_flags, check_flags)
