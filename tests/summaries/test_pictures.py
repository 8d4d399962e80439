import numpy as np
import pytest
from PIL import ImageDraw

from summaries import pictures

WHITE, BLACK, BLUE, RED = (255, 255, 255), (0, 0, 0), (8, 48, 107), (192, 0, 0)


@pytest.fixture
def written(monkeypatch):
    """Keeps the texts that are drawn: `[(position, text, color, anchor)]`."""
    texts = []

    def keep(draw, position, text, color, anchor=None):
        texts.append((position, text, color, anchor))

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", keep)
    return texts


def test_cells_of_the_confusion_matrix_are_shaded_by_the_logarithm(written):
    picture = pictures.draw_confusion_matrix(np.array([[99, 9], [0, 1]]))
    assert (picture.mode, picture.size) == ("RGB", (110, 110))
    shades = np.log([[100, 10], [1, 2]]) / np.log(100)
    for row in range(2):
        for column in range(2):
            expected = np.uint8(WHITE + shades[row, column] * (np.array(BLUE) - WHITE))
            for corner in (0, 29):
                xy = (50 + 30 * column + corner, 50 + 30 * row + corner)
                assert picture.getpixel(xy) == tuple(expected), (row, column)
    assert picture.getpixel((49, 49)) == WHITE


def test_the_confusion_matrix_names_rows_columns_and_counts(written):
    pictures.draw_confusion_matrix(np.array([[99, 9], [0, 1]]))
    assert written == [
        ((65, 42.5), "0", BLACK, "mm"),
        ((42.5, 65), "0", BLACK, "mm"),
        ((95, 42.5), "1", BLACK, "mm"),
        ((42.5, 95), "1", BLACK, "mm"),
        ((65, 65), "99", WHITE, "mm"),
        ((95, 65), "9", BLACK, "mm"),
        ((95, 95), "1", BLACK, "mm"),
        ((pytest.approx(23), 80), "true", BLACK, "mm"),
        ((80, pytest.approx(23)), "predicted", BLACK, "mm"),
    ]


def test_the_confusion_matrix_of_ten_classes_is_as_wide_as_tensorboard_shows_it():
    assert pictures.draw_confusion_matrix(np.eye(10, dtype=int)).size == (350, 350)


def test_an_empty_confusion_matrix_is_white(written):
    picture = pictures.draw_confusion_matrix(np.zeros([2, 2], int))
    assert picture.getextrema() == ((255, 255),) * 3


def test_mistakes_are_enlarged_twice_in_rows_of_five(written):
    images = np.random.default_rng(1).integers(0, 255, [7, 28, 28], np.uint8)
    picture = pictures.draw_mistakes(images, *np.zeros([3, 7], int))
    assert (picture.mode, picture.size) == ("RGB", (350, 188))
    pixels = np.asarray(picture)
    for index, (left, top) in {0: (7, 20), 4: (287, 20), 5: (7, 104), 6: (77, 104)}.items():
        region = pixels[top : top + 56, left : left + 56]
        expected = images[index].repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(region, np.stack([expected] * 3, -1))
    rest = pixels.copy()
    for index in range(7):
        left, top = index % 5 * 70 + 7, 20 + index // 5 * 84
        rest[top : top + 56, left : left + 56] = 255
    assert rest.min() == 255


def test_mistakes_are_described(written):
    images = np.zeros([6, 28, 28], np.uint8)
    pictures.draw_mistakes(images, [4] * 6, [9] * 6, [0.99949] * 6)
    title, first, *_, sixth = written
    assert title == (
        (4, 4),
        "6 most confident mistakes: true > predicted, probability",
        BLACK,
        None,
    )
    assert first == ((35, 86), "4 > 9  0.999", RED, "mm")
    assert sixth == ((35, 170), "4 > 9  0.999", RED, "mm")


def test_text_can_be_read():
    matrix = pictures.draw_confusion_matrix(np.array([[99, 0], [0, 0]]))
    cell = matrix.crop((51, 51, 79, 79))
    assert cell.getpixel((0, 0)) == BLUE
    assert np.asarray(cell).min(-1).max() > 200
    mistakes = pictures.draw_mistakes(np.zeros([1, 28, 28], np.uint8), [4], [9], [0.5])
    assert np.sum(np.asarray(mistakes.crop((0, 77, 70, 104)))[..., 1] < 100) > 20


def test_mistakes_are_drawn_even_if_there_are_none():
    empty = np.zeros([0, 28, 28], np.uint8)
    assert pictures.draw_mistakes(empty, [], [], []).size == (350, 104)
