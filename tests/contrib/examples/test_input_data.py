import numpy as np
import pytest

from contrib.examples.input_data import DataSet, load_mnist, read_data_sets
from contrib.learn.datasets import load_dataset
from contrib.learn.datasets.mnist import BUNDLED_DATA_DIR
from contrib.names import LostName


@pytest.fixture(scope="module")
def datasets():
    return read_data_sets(BUNDLED_DATA_DIR)


def test_images_are_floats_in_rows_and_labels_are_classes(datasets, mnist_data):
    assert [split.num_examples for split in datasets] == [55000, 5000, 10000]
    for split, expected in zip(datasets, mnist_data):
        assert split.images.dtype == np.float32
        assert split.labels.dtype == np.uint8
        np.testing.assert_array_equal(split.labels, expected.labels)
        pixels = expected.images[:100].reshape(100, 784)
        np.testing.assert_allclose(split.images[:100], pixels / 255, rtol=1e-6)


def test_labels_are_one_hot_and_images_square_bytes_if_asked_for(mnist_data):
    datasets = read_data_sets(BUNDLED_DATA_DIR, one_hot=True, dtype=np.uint8, reshape=False)
    assert datasets.train.images.shape == (55000, 28, 28, 1)
    np.testing.assert_array_equal(datasets.test.images[..., 0], mnist_data.test.images)
    np.testing.assert_array_equal(datasets.test.labels.argmax(1), mnist_data.test.labels)
    assert datasets.test.labels.sum() == datasets.test.num_examples


def test_all_training_images_train_without_validation():
    train, validation, _ = read_data_sets(BUNDLED_DATA_DIR, dtype=np.uint8, validation_size=0)
    assert (train.num_examples, validation.images.shape) == (60000, (0, 784))


def test_batches_come_in_order_without_shuffling_and_go_on_in_the_next_epoch():
    images, labels = np.zeros([5, 2, 2, 1], np.uint8), np.arange(5)
    data_set = DataSet(images, labels)
    batches = [data_set.next_batch(2, shuffle=False)[1].tolist() for _ in range(4)]
    assert batches == [[0, 1], [2, 3], [4, 0], [1, 2]]
    assert data_set.epochs_completed == 1


def test_each_epoch_has_all_images_with_their_labels_in_an_order_of_the_seed():
    labels = np.arange(100, dtype=np.uint8)
    images = np.tile(labels[:, None, None, None], [1, 2, 2, 1])

    def read_epochs(seed):
        data_set = DataSet(images, labels, dtype=np.uint8, seed=seed)
        batches = [data_set.next_batch(50) for _ in range(4)]
        assert all((images == labels[:, None]).all() for images, labels in batches)
        return np.concatenate([labels for _, labels in batches]).reshape(2, 100)

    first, second = read_epochs(seed=1)
    assert sorted(first) == sorted(second) == labels.tolist()
    assert (first != second).any() and (first != labels).any()
    np.testing.assert_array_equal(read_epochs(seed=1), [first, second])


@pytest.mark.parametrize(
    "arguments", [{"validation_size": 60001}, {"validation_size": -1}, {"fake_data": True}]
)
def test_arguments_that_can_not_be_are_errors(arguments):
    with pytest.raises(ValueError, match=r"between 0 and 60000|fake_data"):
        read_data_sets(BUNDLED_DATA_DIR, **arguments)


def test_images_of_another_type_are_an_error():
    with pytest.raises(TypeError, match="uint8 or float32"):
        DataSet(np.zeros([1, 2, 2, 1], np.uint8), np.zeros(1), dtype=np.float64)


def test_a_directory_that_is_not_there_gets_the_bundled_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_dataset("mnist").train.num_examples == 55000
    assert len(list((tmp_path / "MNIST-data").iterdir())) == 4
    assert load_mnist("MNIST-data").test.num_examples == 10000
    with pytest.raises(LostName, match="iris"):
        load_dataset("iris")
