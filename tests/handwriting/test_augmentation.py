import numpy as np
import pytest
import tensorflow as tf

from handwriting import augmentation

KINDS = ("TURN", "SLANT", "SCALE", "SHIFT", "BEND", "STROKE")
Y, X = np.indices([28, 28]) - 13.5


@pytest.fixture
def images(mnist_data):
    return mnist_data.test.images[:256]


@pytest.fixture
def only(monkeypatch):
    """A function that switches off all kinds of distortion but one; returns the most it does."""

    def switch_off(kind=None):
        for other in set(KINDS) - {kind}:
            monkeypatch.setattr(augmentation, other, 0)
        return getattr(augmentation, kind) if kind else None

    return switch_off


def augmented(images, seed=1):
    distorted = augmentation.augment(tf.constant(images), tf.constant([seed, 0], tf.int64))
    assert distorted.shape == images.shape
    return distorted.numpy()


def moments(images):
    """Centres of mass (y, x), [N, 2], and covariances, [N, 2, 2], of the ink, in pixels."""
    ink = images / images.sum((1, 2), keepdims=True, dtype=float)
    centres = np.stack([(ink * Y).sum((1, 2)), (ink * X).sum((1, 2))], -1)
    second = [[(ink * a * b).sum((1, 2)) for a in (Y, X)] for b in (Y, X)]
    second = np.transpose(second, [2, 0, 1])
    return centres, second - centres[:, :, None] * centres[:, None, :]


def angles(covariances):
    """Directions of the longer axis, radians from the vertical."""
    (yy, yx), (_, xx) = np.moveaxis(covariances, 0, -1)
    return np.arctan2(2 * yx, yy - xx) / 2


def assert_both_ways(changes, most):
    """`changes` spread about evenly from -most to most."""
    assert 0.8 * most < changes.max() < 1.15 * most
    assert -1.15 * most < changes.min() < -0.8 * most


def test_without_a_kind_images_stay_as_they_are(images, only):
    only()
    np.testing.assert_array_equal(augmented(images), images)


def test_turning_turns_the_axis_and_keeps_the_size(images, only):
    most = only("TURN")
    before, after = moments(images)[1], moments(augmented(images))[1]
    axes = np.linalg.eigvalsh(before)
    long = axes[:, 1] > 3 * axes[:, 0]
    assert_both_ways((angles(after) - angles(before))[long], most)
    np.testing.assert_allclose(np.linalg.eigvalsh(after)[:, 1], axes[:, 1], rtol=0.1)


def test_slanting_moves_the_top_against_the_bottom(images, only):
    most = only("SLANT")
    before, after = moments(images)[1], moments(augmented(images))[1]
    slants = [covariances[:, 0, 1] / covariances[:, 0, 0] for covariances in (before, after)]
    assert_both_ways(slants[1] - slants[0], most)
    np.testing.assert_allclose(after[:, 0, 0], before[:, 0, 0], rtol=0.02)


def test_scaling_changes_height_and_width_apart(images, only):
    most = only("SCALE")
    before, after = moments(images)[1], moments(augmented(images))[1]
    wide = before[:, 1, 1] > 10  # not a 1, which interpolation widens
    height, width = (np.sqrt((before / after)[wide, axis, axis]) - 1 for axis in (0, 1))
    assert_both_ways(height, most)
    assert_both_ways(width, most)
    assert abs(np.corrcoef(height, width)[0, 1]) < 0.5


def test_shifting_moves_the_centre_up_and_down_and_to_both_sides(images, only):
    most = only("SHIFT")
    before, after = moments(images)[0], moments(augmented(images))[0]
    for axis in (0, 1):
        assert_both_ways((after - before)[:, axis], most)


def test_bending_makes_straight_strokes_crooked(only):
    most = only("BEND")
    bars = np.zeros([256, 28, 28], np.uint8)
    bars[:, :, 13:15] = 255
    bent = augmented(bars)
    middle = (bent * (X + 13.5)).sum(2, dtype=float) / bent.sum(2)
    crooked = [row - np.polyval(np.polyfit(Y[:, 0], row, 1), Y[:, 0]) for row in middle]
    assert 0.2 * most < np.std(crooked) < most


def test_strokes_get_thicker_and_thinner(images, only):
    most = only("STROKE")
    changed = augmented(images)
    grey = (images > 0) & (images < 255)
    np.testing.assert_array_equal(changed[~grey], images[~grey])
    ink = images / 255
    amounts = (changed - 255 * ink).sum((1, 2)) / (255 * ink * (1 - ink)).sum((1, 2))
    assert_both_ways(amounts, most)


def test_a_distorted_digit_stays_in_its_place_of_the_batch(images, only):
    only("SLANT")
    flat = [batch.reshape(256, -1) for batch in (images, augmented(images))]
    similarity = np.corrcoef(*flat)[256:, :256]
    assert np.mean(similarity.argmax(1) == np.arange(256)) > 0.8


def test_ink_stays_inside(images):
    distorted = augmented(images)
    edge = np.ones([28, 28], bool)
    edge[1:-1, 1:-1] = False
    assert distorted[:, edge].mean() < 1


def test_images_beside_each_other_share_a_distortion_and_others_do_not(only):
    only("SHIFT")
    dots = np.zeros([16, 28, 28], np.uint8)
    dots[:, 13:15, 13:15] = 255
    centres, _ = moments(augmented(dots))
    np.testing.assert_array_equal(centres[:8], centres[[0] * 8])
    assert not np.allclose(centres[0], centres[8], atol=0.01)


@pytest.mark.parametrize("batch_size", [1, 7, 12])
def test_any_batch_size_will_do(images, only, batch_size):
    only()
    distorted = augmented(images[:batch_size])
    np.testing.assert_array_equal(distorted, images[:batch_size])


def test_a_seed_repeats_the_distortions_and_another_has_others(images):
    np.testing.assert_array_equal(augmented(images), augmented(images))
    assert (augmented(images) != augmented(images, seed=2)).any((1, 2)).all()
