from pathlib import Path

from napari_sam._qt.embedding_store_row import EmbeddingStoreRow
from napari_sam.session.embedding.store import StoreUsage


def test_numbers_are_requested_when_it_shows(shown, heard):
    row = EmbeddingStoreRow(Path("/somewhere"))
    requests = heard(row, "usage_requested", "clear.clicked")
    assert row._label.text() == "0 embeddings on disk, 0 MB"
    assert "/somewhere" in row._label.toolTip()
    shown(row)
    assert requests == [("usage_requested",)]
    row.clear.click()  # there is nothing to clear
    assert len(requests) == 1
    row.show_usage(StoreUsage(1, 4_200_000))
    assert row._label.text() == "1 embedding on disk, 4 MB"
    row.clear.click()
    assert requests[1:] == [("clear.clicked",)]
