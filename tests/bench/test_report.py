"""The report as a table and as JSON."""

import pytest

from napari_sam.bench.report import Report, Row

pytestmark = pytest.mark.slow


def test_table():
    rows = [
        Row("fast", "ms", 10.0, {"other": 40.0}),
        Row("unseen", "MB", None, note="not measured: so it is"),
    ]
    report = Report({"cores": "2"}, {"torch": "2"}, {"rounds": 1}, rows, ("other",), ["A note."])
    assert report.as_markdown().splitlines() == [
        "- Machine: cores 2",
        "- Versions: torch 2",
        "- Settings: rounds 1",
        "- A note.",
        "",
        "| measured | napari-sam             | other   | ours / other |",
        "|----------|------------------------|---------|--------------|",
        "| fast     | 10.0 ms                | 40.0 ms | 0.25         |",
        "| unseen   | not measured: so it is |         |              |",
    ]
    assert report.as_dict()["rows"][0]["ratios"] == {"other": 0.25}
