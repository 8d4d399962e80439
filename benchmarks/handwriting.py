"""Measures how well predict.py reads digits on paper; prints two Markdown tables.

    pip install scikit-learn
    python benchmarks/handwriting.py

The first table has MNIST test images, unchanged and on paper. Each way to put a digit on paper is
one of samples/variants.py, with two seeds. The constants of handwriting/ were chosen on validation
images with seed 0. Seed 1 shows whether the constants fit other pages, too. The second table has
the handwritten digits of 8x8 pixels that come with scikit-learn.
"""

import argparse
import pathlib
import sys

PROJECT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

import command_line  # noqa: E402

command_line.import_tensorflow()

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

from contrib.learn.datasets.mnist import BUNDLED_DATA_DIR, read_data_sets  # noqa: E402
from predict import predict_images  # noqa: E402
from samples.variants import VARIANTS, saved, straight_strokes  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir", default=PROJECT / "tests" / "model_dir_2017")
    parser.add_argument("--images", type=int, default=500)
    arguments = parser.parse_args()
    test = read_data_sets(BUNDLED_DATA_DIR).test
    images, labels = test.images[: arguments.images], test.labels[: arguments.images]

    def accuracy(files, labels):
        files = list(files)
        answers = predict_images(str(arguments.model_dir), files, report=lambda file, error: None)
        read = {file: prediction["class"] for file, _, prediction in answers}
        return 100 * np.mean([read.get(file) == label for file, label in zip(files, labels)])

    native = accuracy([saved(Image.fromarray(image)) for image in images], labels)
    print(f"| {len(images)} MNIST test images | seed 0 | points | seed 1 | points |")
    print(f"| --- | --- | --- | --- | --- |\n| unchanged | {native:.1f} % | | {native:.1f} % | |")
    for variant in (*VARIANTS, straight_strokes):
        cells = [variant.__name__.replace("_", " ")]
        for seed in (0, 1):
            rng = np.random.default_rng(seed)
            subjects = labels if variant is straight_strokes else images
            found = accuracy((variant(subject, rng) for subject in subjects), labels)
            cells += [f"{found:.1f} %", f"{found - native:+.1f}"]
        print(f"| {' | '.join(cells)} |", flush=True)

    digits = load_digits()
    print(f"\n| {len(digits.target)} digits of 8x8 pixels | accuracy |\n| --- | --- |")
    for name, resampling in (("blocks", "NEAREST"), ("smooth", "BICUBIC")):
        enlarged = (
            Image.fromarray(np.uint8(255 - 255 * digit / 16)).resize(
                (200, 200), Image.Resampling[resampling]
            )
            for digit in digits.images
        )
        found = accuracy((saved(image) for image in enlarged), digits.target)
        print(f"| dark on light, enlarged to 200x200, {name} | {found:.1f} % |")


if __name__ == "__main__":
    main()
