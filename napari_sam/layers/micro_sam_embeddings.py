"""Embeddings that a user has brought along for image layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

from napari.layers import Image
from psygnal import Signal

from napari_sam.layers.plane_view import PlaneView, levels
from napari_sam.session.micro_sam.imported import ImportedEmbeddings, ImportPhase, ImportState
from napari_sam.session.micro_sam.plane_embeddings import PlaneEmbeddings
from napari_sam.session.session import AnnotationSession


class ImportedEmbeddingsLayers:
    """Knows which embeddings belong to which image, and which of them to a plane that is shown."""

    changed = Signal(object)
    """The `ImportState` of the current image; None if nothing was brought along for it."""
    usable_changed = Signal()
    """The planes of the current image are to be made again."""

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session
        self._brought: WeakKeyDictionary[Image, ImportedEmbeddings] = WeakKeyDictionary()
        self._image: Image | None = None
        self._view: PlaneView | None = None
        self._shown: ImportState | None = None

    def use(self, path: Path) -> None:
        """Bring embeddings along for the current image, in place of those before."""
        image = self._image
        if image is None:
            return
        self.stop()
        brought = self._session.micro_sam.import_embeddings(path, levels(image)[0])
        self._brought[image] = brought
        brought.changed.connect(self._show)
        brought.usable_changed.connect(self._on_usable_changed)
        self._show()

    def stop(self) -> bool:
        """Use none for the current image; return whether there were any that might have been."""
        brought = None if self._image is None else self._brought.pop(self._image, None)
        if brought is None:
            return False
        was_usable = brought.ndim is not None
        was_refused = brought.state.phase is ImportPhase.REFUSED
        brought.close()
        self._show()
        if was_usable:
            self.usable_changed.emit()
        return not was_refused

    def show(self, image: Image | None, view: PlaneView | None = None) -> None:
        """Hear which image is the current one, and which plane of it is shown."""
        self._image, self._view = image, view
        self._show()

    def of(self, image: Image, view: PlaneView) -> PlaneEmbeddings | None:
        """Return the embeddings of a plane; None if there are none that fit."""
        brought = self._brought.get(image)
        ndim = None if brought is None else brought.ndim
        if brought is None or ndim is None or not _is_shown_as_embedded(view, ndim):
            return None
        return brought.of_plane(view.index[0] if ndim == 3 else 0)

    def _on_usable_changed(self) -> None:
        self._show()
        self.usable_changed.emit()

    def _show(self) -> None:
        brought = None if self._image is None else self._brought.get(self._image)
        state = None if brought is None else brought.state
        if brought is not None and state is not None and not self._shows_embedded_planes(brought):
            text = (
                "Not used as the image is shown now: roll the axes (Ctrl-E) until it shows as it "
                f"was embedded, with all its channels ({state.text})."
            )
            state = replace(state, text=text)
        if state != self._shown:
            self._shown = state
            self.changed.emit(state)

    def _shows_embedded_planes(self, brought: ImportedEmbeddings) -> bool:
        """Whether the view does not keep embeddings from being used."""
        view, ndim = self._view, brought.ndim
        return view is None or ndim is None or _is_shown_as_embedded(view, ndim)


def _is_shown_as_embedded(view: PlaneView, ndim: int) -> bool:
    """Whether a plane is one of those that micro-sam saw: ([Z,] H, W) and all channels."""
    first = ndim - 2
    if (view.row_axis, view.column_axis) != (first, first + 1) or view.channel_axis == 0:
        return False
    return set(range(first + 2, len(view.shape_nd))) <= {view.channel_axis}
