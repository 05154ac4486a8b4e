"""The range of slices to go through: the shown slice, until the user chooses others."""

import pytest

from napari_sam._qt.slice_range_row import SliceRangeRow


@pytest.fixture
def stack_row(qtbot):
    stack_row = SliceRangeRow("The {} slice")
    qtbot.addWidget(stack_row)
    stack_row.show_stack(10, 4)
    return stack_row


def ends(stack_row):
    return stack_row.first.value(), stack_row.last.value()


def test_it_follows_the_shown_slice_until_a_range_is_chosen(stack_row, heard):
    changes = heard(stack_row, "changed")
    assert ends(stack_row) == (4, 4)
    assert stack_row.chosen is None
    stack_row.show_stack(10, 6)
    assert ends(stack_row) == (6, 6)
    assert changes == []
    stack_row.last.setValue(8)
    assert stack_row.chosen == range(6, 9)
    stack_row.show_stack(10, 2)
    assert stack_row.chosen == range(6, 9)
    assert len(changes) == 1
    stack_row.this.click()
    assert ends(stack_row) == (2, 2)
    stack_row.all.click()
    assert stack_row.chosen == range(10)


def test_slices_that_are_typed_stay_when_another_one_is_shown(stack_row, heard):
    changes = heard(stack_row, "changed")
    stack_row.first.lineEdit().setText("8")  # without leaving the field
    stack_row.show_stack(10, 5)
    assert ends(stack_row) == (8, 8)
    assert stack_row.chosen == range(8, 9)
    assert len(changes) == 1
    stack_row.show_stack(10, 8)
    assert stack_row.chosen is None
    assert len(changes) == 2
    stack_row.this.click()
    stack_row.show_stack(10, 3)
    assert ends(stack_row) == (3, 3)


def test_the_ends_push_each_other(stack_row):
    stack_row.first.setValue(7)
    assert ends(stack_row) == (7, 7)
    stack_row.last.setValue(3)
    assert ends(stack_row) == (3, 3)


def test_another_stack_begins_with_its_shown_slice(stack_row):
    stack_row.all.click()
    stack_row.show_stack(12, 4)  # the same one has grown
    assert stack_row.chosen == range(10)
    stack_row.show_stack(1, 0)
    assert stack_row.chosen is None
    assert not stack_row.isVisibleTo(stack_row.parentWidget())
    stack_row.show_stack(5, 3)
    assert ends(stack_row) == (3, 3)
