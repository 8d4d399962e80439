import numpy as np
import pytest

from handwriting.ruled_lines import find_lines, level_lines


def test_lines_are_cut_out_of_strokes_nowhere():
    mask = np.zeros((100, 100), bool)
    mask[10::25] = True
    lines = mask.copy()
    mask[20:80, 40:50] = True
    lines[20:80, 40:50] = False
    np.testing.assert_array_equal(level_lines(mask), lines)


@pytest.mark.parametrize("degrees, is_line", [(-3.5, True), (2, True), (8, False)])
def test_lines_may_be_four_degrees_askew(degrees, is_line):
    mask = np.zeros((300, 400), bool)
    columns = np.arange(400)
    mask[np.int64(150 + np.tan(np.radians(degrees)) * (columns - 200)), columns] = True
    assert level_lines(mask).any() == is_line


@pytest.mark.parametrize("length, is_line", [(30, False), (60, True)])
def test_a_line_is_longer_than_four_tenths_of_the_page(length, is_line):
    mask = np.zeros((100, 100), bool)
    mask[50, 20 : 20 + length] = True
    assert level_lines(mask).any() == is_line


def test_broken_lines_are_ruled_lines():
    mask = np.zeros((100, 100), bool)
    mask[10::20] = np.arange(100) % 8 < 4
    np.testing.assert_array_equal(level_lines(mask), mask)


def test_thicker_stroke_along_a_ruled_line_stays():
    mask = np.zeros((300, 400), bool)
    mask[20::60] = mask[21::60] = True
    lines = mask.copy()
    mask[78:84, 100:140] = True
    lines[78:84, 100:140] = False
    np.testing.assert_array_equal(level_lines(mask), lines)


def test_wide_strips_are_no_ruled_lines():
    mask = np.zeros((100, 100), bool)
    for top in range(5, 100, 25):
        mask[top : top + 3] = True
    assert not level_lines(mask).any()


def test_upright_strokes_on_ruled_paper_are_lines_or_not():
    mask = np.zeros((100, 100), bool)
    mask[5::18] = True
    mask[20:80, 50] = True
    ruled, squared = find_lines(mask)
    assert ruled[5].all() and squared[5].all()
    assert squared[30, 50] and not ruled[30, 50]


def test_squared_paper_in_a_frame_loses_all_its_lines():
    mask = np.zeros((100, 100), bool)
    mask[5::45, 5:96] = mask[5:96, 5::15] = True
    np.testing.assert_array_equal(find_lines(mask)[-1], mask)


def test_a_page_without_lines_has_none():
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    assert find_lines(mask) == []
