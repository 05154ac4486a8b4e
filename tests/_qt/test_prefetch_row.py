import pytest

from napari_sam._qt.prefetch_row import PrefetchRow
from napari_sam.session.prefetch.queue import PrefetchState

REQUESTS = "embed_all", "pause", "resume", "cancel", "prefetch"


@pytest.fixture
def row(qtbot):
    row = PrefetchRow()
    qtbot.addWidget(row)
    return row


def visible(row):
    names = "prefetch", "embed_all", "progress", "pause", "cancel", "outcome"
    return {name for name in names if not getattr(row, f"_{name}").isHidden()}


def test_a_single_slice_has_no_row(row):
    assert row.isHidden()
    row.show_stack(5)
    assert not row.isHidden()
    assert visible(row) == {"prefetch", "embed_all"}
    assert "all 5 slices" in row._embed_all.toolTip()
    row.show_stack(1)
    assert row.isHidden()


def test_progress_pause_and_outcome(row, heard):
    requests = heard(row, *(f"{name}_requested" for name in REQUESTS))
    row.show_stack(5)
    row._embed_all.click()
    row.show_progress(PrefetchState(2, 5))
    assert visible(row) == {"prefetch", "progress", "pause", "cancel"}
    assert (row._progress.value(), row._progress.text()) == (2, "2 of 5")
    row._pause.click()
    row.show_progress(PrefetchState(2, 5, is_paused=True))
    assert row._pause.text() == "Resume"
    row._pause.click()
    row._cancel.click()
    row._prefetch.click()
    row.show_progress(PrefetchState(4, 5, failures=("slice 3: broken",)))
    assert visible(row) == {"prefetch", "embed_all", "outcome"}
    assert row._outcome.text() == "4 of 5 slices embedded, 1 failed"
    assert row._outcome.toolTip() == "slice 3: broken"
    names = [name.removesuffix("_requested") for name, *_ in requests]
    assert names == ["embed_all", "pause", "resume", "cancel", "prefetch"]
    assert requests[-1] == ("prefetch_requested", False)


def test_a_run_can_be_paused_where_no_stack_is_shown(row):
    row.show_progress(PrefetchState(2, 5))
    assert not row.isHidden()
    assert visible(row) == {"progress", "pause", "cancel"}
    row.show_progress(None)
    assert row.isHidden()
