"""The embeddings on disk, and the button to clear them."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QWidget

from napari_sam._qt.building import button, fill, row
from napari_sam._qt.eliding_label import ElidingLabel
from napari_sam.session.embedding.store import StoreUsage


class EmbeddingStoreRow(QWidget):
    """The number and size of the embeddings on disk; requested whenever the row is shown."""

    usage_requested = Signal()

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._label = ElidingLabel()
        self._label.setToolTip(
            f"Images with an embedding on disk are ready at once.\nFolder: {folder}"
        )
        self.clear = button(
            "Clear", "Delete all embeddings from disk; they are computed again when needed"
        )
        fill(self, row(self._label, self.clear, stretch=self._label))
        self.show_usage(StoreUsage(0, 0))

    def show_usage(self, usage: StoreUsage) -> None:
        """Show how much is on disk."""
        noun = "embedding" if usage.count == 1 else "embeddings"
        self._label.setText(f"{usage.count} {noun} on disk, {usage.size_bytes / 1e6:.0f} MB")
        self.clear.setEnabled(usage.count > 0)

    def showEvent(self, event: QShowEvent) -> None:
        """Request the current numbers."""
        self.usage_requested.emit()
        super().showEvent(event)
