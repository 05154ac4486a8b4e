"""Embeddings imported from micro-sam, for image layers."""

from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

from napari.layers import Image
from psygnal import Signal

from napari_sam.layers.plane_view import PlaneView, levels
from napari_sam.session.micro_sam.imported import (
    ImportedEmbeddings,
    ImportPhase,
    ImportState,
    PlaneEmbeddings,
)
from napari_sam.session.session import AnnotationSession


class ImportedEmbeddingsLayers:
    """Keeps the imported embeddings of each image, and returns those of the shown plane."""

    changed = Signal(object)
    """The `ImportState` of the current image; None without an import."""
    usable_changed = Signal()
    """The planes of the current image have to be built again."""

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session
        self._imports: WeakKeyDictionary[Image, ImportedEmbeddings] = WeakKeyDictionary()
        self._image: Image | None = None
        self._view: PlaneView | None = None
        self._shown: ImportState | None = None

    def use(self, path: Path) -> None:
        """Import embeddings for the current image, in place of earlier ones."""
        image = self._image
        if image is None:
            return
        self.stop()
        imported = self._session.import_embeddings(path, levels(image)[0])
        self._imports[image] = imported
        imported.changed.connect(self._show)
        imported.usable_changed.connect(self._on_usable_changed)
        self._show()

    def stop(self) -> bool:
        """Stop using those of the current image; return whether there were any, not refused."""
        imported = None if self._image is None else self._imports.pop(self._image, None)
        if imported is None:
            return False
        was_usable = imported.ndim is not None
        was_refused = imported.state.phase is ImportPhase.REFUSED
        imported.close()
        self._show()
        if was_usable:
            self.usable_changed.emit()
        return not was_refused

    def show(self, image: Image | None, view: PlaneView | None = None) -> None:
        """Set the current image and the shown plane."""
        self._image, self._view = image, view
        self._show()

    def of(self, image: Image, view: PlaneView) -> PlaneEmbeddings | None:
        """Return the embeddings of a plane; None if none match."""
        imported = self._imports.get(image)
        ndim = None if imported is None else imported.ndim
        if imported is None or ndim is None or not _is_shown_as_embedded(view, ndim):
            return None
        return imported.of_plane(view.index[0] if ndim == 3 else 0)

    def _on_usable_changed(self) -> None:
        self._show()
        self.usable_changed.emit()

    def _show(self) -> None:
        imported = None if self._image is None else self._imports.get(self._image)
        state = None if imported is None else imported.state
        view, ndim = self._view, None if imported is None else imported.ndim
        is_unused = view is not None and ndim is not None and not _is_shown_as_embedded(view, ndim)
        if state is not None and is_unused:
            text = (
                "Not used in this view: roll the axes (Ctrl+E) until the image is shown as it was "
                f"embedded, with all its channels ({state.text})."
            )
            state = replace(state, text=text)
        if state != self._shown:
            self._shown = state
            self.changed.emit(state)


def _is_shown_as_embedded(view: PlaneView, ndim: int) -> bool:
    """Whether a plane is one of those that micro-sam saw: ([Z,] H, W) and all channels."""
    first = ndim - 2
    if (view.row_axis, view.column_axis) != (first, first + 1) or view.channel_axis == 0:
        return False
    return set(range(first + 2, len(view.shape_nd))) <= {view.channel_axis}
