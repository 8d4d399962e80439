import numpy as np
import pytest

from handwriting.ruled_lines import level_lines, without_lines


def test_lines_are_cut_out_of_strokes_nowhere():
    mask = np.zeros((100, 100), bool)
    mask[10::25] = True
    lines = mask.copy()
    mask[20:80, 40:50] = True
    lines[20:80, 40:50] = False
    np.testing.assert_array_equal(level_lines(mask), lines)


@pytest.mark.parametrize("other, is_line", [(0, False), (3, False), (5, True)])
def test_lone_line_from_edge_to_edge_counts_beside_other_ink_only(other, is_line):
    mask = np.zeros((100, 100), bool)
    mask[50] = True
    mask[10 : 10 + other, 30 : 30 + other] = True
    assert level_lines(mask)[50].any() == is_line


@pytest.mark.parametrize("start, end", [(10, 90), (0, 90), (10, 100)])
def test_lone_line_that_ends_inside_the_page_is_a_stroke(start, end):
    mask = np.zeros((100, 100), bool)
    mask[50, start:end] = True
    mask[10:40, 30:60] = True
    assert not level_lines(mask).any()


@pytest.mark.parametrize("rows", [slice(40, 50), slice(51, 61)], ids=["above", "below"])
@pytest.mark.parametrize(
    "column, is_line",
    [(20, False), (24, False), (30, True), (68, True), (74, False), (78, False)],
)
def test_lines_that_meet_other_ink_near_an_end_are_strokes(rows, column, is_line):
    mask = np.zeros((100, 100), bool)
    mask[50, 20:80] = True
    mask[90, 20:80] = True
    assert level_lines(mask).any()
    mask[rows, column : column + 2] = True
    assert level_lines(mask)[50].any() == is_line


def test_one_of_three_lines_may_meet_other_ink():
    mask = np.zeros((100, 100), bool)
    mask[[10, 50, 90], 20:80] = True
    mask[51:61, 20:22] = True
    assert level_lines(mask)[[10, 50, 90]].any(1).all()


def test_broken_lines_are_ruled_lines():
    mask = np.zeros((100, 100), bool)
    mask[10::20] = np.arange(100) % 8 < 4
    np.testing.assert_array_equal(level_lines(mask), mask)


def test_the_end_of_a_line_that_leaves_the_page_goes_with_the_others():
    mask = np.zeros((100, 100), bool)
    columns = np.arange(100)
    for top in (18, 43, 68, 84):
        mask[top + columns // 10, columns] = True
    mask[columns[70:] // 10 - 7, columns[70:]] = True  # too short to be a line alone
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


def test_squared_paper_in_a_frame_loses_all_its_lines():
    ink = np.zeros((100, 100), np.float32)
    ink[5::45, 5:96] = ink[5:96, 5::15] = 1
    assert not without_lines(ink).any()


def test_ink_beside_lines_is_unchanged():
    ink = np.zeros((100, 100), np.float32)
    ink[5::18] = 1
    ink[20:80, 45:55] = 0.7
    digit = np.where(ink == np.float32(0.7), ink, 0)
    np.testing.assert_array_equal(without_lines(ink), digit)


def test_strokes_that_meet_are_no_lines():
    ink = np.zeros((100, 100), np.float32)
    ink[20, 20:80] = ink[20:80, 79] = ink[80, 20:80] = 1
    np.testing.assert_array_equal(without_lines(ink), ink)
