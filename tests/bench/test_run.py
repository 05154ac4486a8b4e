"""The rows of the report, also where something cannot be measured."""

import pytest

from napari_sam.bench import run as bench_run
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
    monkeypatch.setattr(bench_run, "has_display", lambda: True)
    options = Options(checkpoint="none.pt")
    for rows in (
        bench_run._memory_rows(options, lambda text: None),
        bench_run._window_rows(options, lambda text: None),
    ):
        for row in rows:
            assert row.ours is None
            assert row.note.startswith("not measured: ")
