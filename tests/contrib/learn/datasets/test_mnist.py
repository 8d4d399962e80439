import errno
import gzip
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from contrib.learn.datasets import mnist
from contrib.learn.errors import UserError

SHA_256 = {
    mnist.TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    mnist.TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    mnist.TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    mnist.TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@pytest.fixture
def data_dir(tmp_path):
    """A copy of the bundled data to damage; the test files are gzipped, as all of them are."""
    return shutil.copytree(mnist.BUNDLED_DATA_DIR, tmp_path / "data")


def unzipped(name):
    return gzip.decompress((mnist.BUNDLED_DATA_DIR / f"{name}.gz").read_bytes())


@pytest.mark.parametrize("name", mnist.FILE_NAMES)
def test_bundled_files_are_mnist(name):
    assert hashlib.sha256(unzipped(name)).hexdigest() == SHA_256[name]


def test_first_5000_training_images_are_the_validation_split(mnist_data):
    images = mnist.read_idx(mnist.BUNDLED_DATA_DIR / f"{mnist.TRAIN_IMAGES}.gz", 3)
    assert [len(split.labels) for split in mnist_data] == [55000, 5000, 10000]
    np.testing.assert_array_equal(mnist_data.validation.images, images[:5000])
    np.testing.assert_array_equal(mnist_data.train.images, images[5000:])


def test_arrays_are_uint8(mnist_data):
    assert {array.dtype for split in mnist_data for array in split} == {np.dtype(np.uint8)}


def test_plain_files_are_read_like_gzipped_ones(data_dir, mnist_data):
    for name in mnist.FILE_NAMES:
        (data_dir / name).write_bytes(unzipped(name))
        (data_dir / f"{name}.gz").unlink()
    np.testing.assert_array_equal(
        mnist.read_data_sets(data_dir).test.images, mnist_data.test.images
    )


def test_directory_without_the_files_gets_the_bundled_ones(tmp_path):
    mnist.read_data_sets(tmp_path / "new" / "data")
    copied = {path.name for path in (tmp_path / "new" / "data").iterdir()}
    assert copied == {f"{name}.gz" for name in mnist.FILE_NAMES}


def test_filling_a_directory_is_told(tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    mnist.read_data_sets(tmp_path)
    assert caplog.messages == [f"{tmp_path} is empty: the bundled MNIST files are copied there"]


def test_hidden_files_do_not_count(tmp_path):
    (tmp_path / ".mnist-killed").mkdir()
    assert len(mnist.read_data_sets(tmp_path).test.labels) == 10000


def test_a_new_volume_is_empty(tmp_path):
    (tmp_path / "lost+found").mkdir()
    assert len(mnist.read_data_sets(tmp_path).test.labels) == 10000


def test_a_file_with_gz_and_without_is_an_error(data_dir):
    (data_dir / mnist.TEST_LABELS).touch()
    with pytest.raises(UserError) as error:
        mnist.read_data_sets(data_dir)
    path = data_dir / mnist.TEST_LABELS
    assert str(error.value) == f"{path}: is there with .gz and without; remove one of them"


def test_a_directory_that_cannot_be_used_is_told_by_its_flag(tmp_path):
    data_dir = tmp_path / ("n" * 300)
    with pytest.raises(UserError, match=f"--data_dir {data_dir}: File name too long; give another"):
        mnist.read_data_sets(data_dir)


def test_directory_with_other_files_gets_nothing(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(
        UserError, match=f"--data_dir {tmp_path}: has no train-images-idx3"
    ) as error:
        mnist.read_data_sets(tmp_path)
    assert all(name in str(error.value) for name in mnist.FILE_NAMES)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_is_no_data_directory(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"--data_dir {tmp_path}/file is a file"):
        mnist.read_data_sets(tmp_path / "file")


def test_a_directory_in_the_place_of_a_file_is_named(tmp_path):
    for name in mnist.FILE_NAMES:
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=f"{tmp_path}/{mnist.TRAIN_IMAGES}: Is a directory; "):
        mnist.read_data_sets(tmp_path)


def test_data_of_another_file_system_are_not_taken_for_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--data_dir gs://bucket/data: has to be a local directory"):
        mnist.read_data_sets("gs://bucket/data")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["data", f"data/{mnist.TEST_LABELS}.gz"])
def test_a_link_that_leads_nowhere_is_named(tmp_path, name):
    link = tmp_path / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=f"{link}: a link to {tmp_path}/gone, which is not there"):
        mnist.read_data_sets(tmp_path / "data")


def test_a_directory_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    copied = []

    def copy(source, target):
        if len(copied) == 3:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), target)
        copied.append(shutil.copyfile(source, pathlib.Path(target, source.name)))
        return str(copied[-1])

    monkeypatch.setattr(mnist.shutil, "copy", copy)
    with pytest.raises(UserError, match=f"--data_dir {tmp_path}: .*: Read-only file system; give"):
        mnist.read_data_sets(tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_files_are_named(data_dir):
    (data_dir / f"{mnist.TEST_LABELS}.gz").unlink()
    with pytest.raises(UserError, match=f"has no {mnist.TEST_LABELS} ") as error:
        mnist.read_data_sets(data_dir)
    assert mnist.TRAIN_IMAGES not in str(error.value)


def half(content):
    return content[: len(content) // 2]


def gzipped(content):
    return gzip.compress(content, compresslevel=1)


def idx(*shape, content=b""):
    """An IDX file."""
    header = [0x0800 + len(shape), *shape]
    return b"".join(number.to_bytes(4, "big") for number in header) + content


HTML = b"<html>Not found</html>"
IMAGES, LABELS = mnist.TEST_IMAGES, mnist.TEST_LABELS


@pytest.mark.parametrize(
    ("name", "damaged", "message"),
    [
        (IMAGES, lambda: half(gzipped(unzipped(IMAGES))), "not a whole gzip file"),
        (LABELS, lambda: HTML, "not a whole gzip file"),
        (LABELS, lambda: gzipped(HTML), "magic number 1013478509, expected 2049"),
        (IMAGES, lambda: gzipped(unzipped(LABELS)), "magic number 2049, expected 2051"),
        (IMAGES, lambda: gzipped(half(unzipped(IMAGES))), "header promises 10000 x 28 x 28"),
        (LABELS, lambda: gzipped(unzipped(mnist.TRAIN_LABELS)), "60000 labels for the 10000 im"),
        (LABELS, lambda: gzipped(idx()[:3]), "3 bytes, less than the header of an IDX file has"),
        (LABELS, lambda: gzipped(idx(3)[:7]), "7 bytes, less than the header of an IDX file has"),
        (LABELS, lambda: gzipped(idx(3, content=b"1234")), "4 bytes of data where its header prom"),
        (
            IMAGES,
            lambda: gzipped(idx(2**31, 2**31, 4)),  # a product that 64 bits can't hold
            "0 bytes of data where its header promises 2147483648 x 2147483648 x 4; get the file",
        ),
    ],
    ids=[
        *("truncated", "not gzip", "not IDX", "labels for images", "short", "other length"),
        *("three bytes", "seven bytes", "long", "huge"),
    ],
)
def test_damaged_file_is_named(data_dir, name, damaged, message):
    (data_dir / f"{name}.gz").write_bytes(damaged())
    with pytest.raises(UserError, match=message) as error:
        mnist.read_data_sets(data_dir)
    assert f"{name}.gz" in str(error.value)
    assert "\n" not in str(error.value)


def test_corrupt_gzip_data_is_an_error(data_dir):
    path = data_dir / f"{mnist.TEST_IMAGES}.gz"
    content = bytearray(path.read_bytes())
    content[1000:1100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte\.gz: not a whole gzip file"):
        mnist.read_data_sets(data_dir)


@pytest.fixture
def write_data(tmp_path):
    """A function that writes black images with these labels; returns their directory."""

    def write(train_labels, test_labels):
        for prefix, labels in (("train", train_labels), ("t10k", test_labels)):
            images = idx(len(labels), 28, 28, content=bytes(784 * len(labels)))
            (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(images)
            content = idx(len(labels), content=bytes(labels))
            (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(content)
        return tmp_path

    return write


def test_a_training_set_has_to_be_larger_than_the_validation_split(write_data):
    assert len(mnist.read_data_sets(write_data([1] * 5001, [1])).train.labels) == 1
    with pytest.raises(UserError) as error:
        mnist.read_data_sets(write_data([1] * 5000, [1]))
    assert str(error.value).endswith(
        "/train-images-idx3-ubyte: 5000 images, but the first 5000 are held back for validation; "
        "use a larger training set"
    )


def test_a_file_without_labels_is_an_error(write_data):
    with pytest.raises(UserError, match=r"/t10k-labels-idx1-ubyte: no labels; get the file again"):
        mnist.read_data_sets(write_data([1] * 5001, []))


def test_labels_go_up_to_n_classes(write_data):
    data_dir = write_data([1] * 5001, [10])
    assert mnist.read_data_sets(data_dir, n_classes=11).test.labels.tolist() == [10]
    with pytest.raises(UserError, match=r"label 10 is outside 0\.\.9; set --hparams n_classes=11"):
        mnist.read_data_sets(data_dir)


def test_label_outside_the_classes_is_an_error():
    with pytest.raises(UserError, match=r"label 9 is outside 0\.\.8; set --hparams n_classes=10"):
        mnist.read_data_sets(mnist.BUNDLED_DATA_DIR, n_classes=9)


def test_images_of_another_size_are_an_error(data_dir):
    content = np.frombuffer(unzipped(mnist.TEST_IMAGES), np.uint8).copy()
    content[8:16] = [0, 0, 0, 14, 0, 0, 0, 56]
    (data_dir / f"{mnist.TEST_IMAGES}.gz").write_bytes(gzip.compress(content, 1))
    with pytest.raises(UserError, match="images of 14x56 pixels, but the network takes 28x28"):
        mnist.read_data_sets(data_dir)


def test_the_reader_imports_no_tensorflow():
    code = "import contrib.learn.datasets.mnist, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
