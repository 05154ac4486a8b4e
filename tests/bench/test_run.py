"""The rows of the report, also where something cannot be measured."""

import pytest

from napari_sam.bench import run as bench_run
from napari_sam.bench import window
from napari_sam.bench.options import BenchError, Options
from napari_sam.model import load_model

pytestmark = pytest.mark.slow

OTHER_ROWS = ["repaint of the canvas", "previews while the mouse moves"]


def test_onnxruntime_is_not_compared_with_an_accelerator():
    class Elsewhere:
        device = "cuda:1"

    with pytest.raises(BenchError, match="--device cpu"):
        bench_run._peer("onnxruntime", load_model(), Elsewhere())


def test_without_a_display_the_table_says_so(monkeypatch):
    monkeypatch.setattr(bench_run, "has_display", lambda: False)
    rows = bench_run._window_rows(Options(), lambda text: None)
    assert [row.name for row in rows] == OTHER_ROWS
    assert {row.note for row in rows} == {"not measured: no display"}


def test_what_a_process_says_last_is_in_the_table(monkeypatch):
    rows = bench_run._memory_rows(Options(checkpoint="none.pt"), lambda text: None)
    (note,) = {row.note for row in rows}
    assert note.startswith("not measured: ")
    assert "There is no checkpoint file none.pt" in note
    assert {row.ours for row in rows} == {None}

    def fail(module, options):
        assert module == window.__name__
        raise BenchError("the window was closed")

    monkeypatch.setattr(bench_run, "has_display", lambda: True)
    monkeypatch.setattr(bench_run, "run_apart", fail)
    rows = bench_run._window_rows(Options(), lambda text: None)
    assert {(row.ours, row.note) for row in rows} == {(None, "not measured: the window was closed")}


def test_memory_is_the_median_of_some_processes(monkeypatch):
    results = iter({"peak": peak, "weights": 1e6} for peak in (5e6, 2e6, 3e6))
    monkeypatch.setattr(bench_run, "run_apart", lambda module, options: next(results))
    rows = bench_run._memory_rows(Options(), lambda text: None)
    assert [(row.unit, row.ours) for row in rows] == [("MB", 3), ("MB", 2)]
    assert not list(results)
