import pytest

from napari_sam._qt.prefetch_row import PrefetchRow
from napari_sam.session.prefetch.queue import PrefetchState

REQUESTS = (
    "embed_all.clicked",
    "pause_requested",
    "resume_requested",
    "cancel.clicked",
    "prefetch.toggled",
)


@pytest.fixture
def row(qtbot):
    row = PrefetchRow()
    qtbot.addWidget(row)
    return row


def visible(row):
    names = "prefetch", "embed_all", "progress", "pause", "cancel", "outcome"
    parts = {name: getattr(row, name, None) or getattr(row, f"_{name}") for name in names}
    return {name for name, part in parts.items() if not part.isHidden()}


def test_a_single_slice_has_no_row(row):
    assert row.isHidden()
    row.show_stack(5)
    assert not row.isHidden()
    assert visible(row) == {"prefetch", "embed_all"}
    assert "all 5 slices" in row.embed_all.toolTip()
    row.show_stack(1)
    assert row.isHidden()


def test_progress_pause_and_outcome(row, heard):
    requests = heard(row, *REQUESTS)
    row.show_stack(5)
    row.embed_all.click()
    row.show_progress(PrefetchState(2, 5))
    assert visible(row) == {"prefetch", "progress", "pause", "cancel"}
    assert (row._progress.value(), row._progress.text()) == (2, "2 of 5")
    row._pause.click()
    row.show_progress(PrefetchState(2, 5, is_paused=True))
    assert row._pause.text() == "Resume"
    row._pause.click()
    row.cancel.click()
    row.prefetch.click()
    row.show_progress(PrefetchState(4, 5, failures=("slice 3: broken",)))
    assert visible(row) == {"prefetch", "embed_all", "outcome"}
    assert row._outcome.text() == "4 of 5 slices embedded, 1 failed"
    assert row._outcome.toolTip() == "slice 3: broken"
    assert [name for name, *_ in requests] == list(REQUESTS)
    assert requests[-1] == ("prefetch.toggled", False)


def test_a_run_can_be_paused_where_no_stack_is_shown(row):
    row.show_progress(PrefetchState(2, 5))
    assert not row.isHidden()
    assert visible(row) == {"progress", "pause", "cancel"}
    row.show_progress(None)
    assert row.isHidden()
