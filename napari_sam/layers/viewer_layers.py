"""Add layers to a user's viewer and remove them without disturbing anything else."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeVar
from uuid import uuid4
from weakref import WeakKeyDictionary

from napari.components import LayerList
from napari.layers import Image, Layer

from napari_sam.layers.napari_workarounds import unlisted

LayerT = TypeVar("LayerT", bound=Layer)
OWN_MARK: Final = "napari-sam-live"
"""The metadata key by which a reopened widget recognizes our layers; names may change."""
_NAMES_OF_IMAGES: Final[WeakKeyDictionary[Image, str]] = WeakKeyDictionary()
"""The mark of layers made for an image. It outlives a widget, as the layers do."""


def mark_for(image: Image) -> dict[str, str]:
    """Return the metadata of a layer that is made for an image."""
    return {OWN_MARK: _NAMES_OF_IMAGES.setdefault(image, uuid4().hex)}


def was_made_for(layer: Layer, image: Image) -> bool:
    """Whether a layer was made for this very image, by this widget or an earlier one."""
    return bool(layer.metadata.get(OWN_MARK) == _NAMES_OF_IMAGES.get(image, ""))


class ViewerLayers:
    """A viewer's layers, among which ours come and go while the user's selection stays."""

    def __init__(self, layers: LayerList) -> None:
        self._layers = layers
        self._is_batch = False
        self.is_changing = False
        """Whether it is us who add, remove or select layers."""

    def __contains__(self, layer: object) -> bool:
        return any(member is layer for member in self._layers)

    def of_type(self, *types: type[LayerT]) -> list[LayerT]:
        """Return the layers of these types, the topmost one last."""
        return [layer for layer in self._layers if isinstance(layer, types)]

    def add(
        self, layer: Layer, *, above: Layer | None = None, below: list[Layer] | None = None
    ) -> None:
        """Add a layer: directly above another one, below all of some others, or on top."""
        if above is not None and above in self:
            index = self._layers.index(above) + 1
        else:
            indices = [self._layers.index(other) for other in below or [] if other in self]
            index = min(indices, default=len(self._layers))
        with self._selection_kept():
            self._layers.insert(index, layer)

    def remove(self, *layers: Layer | None) -> None:
        """Remove layers, as far as they are there."""
        present = [layer for layer in layers if layer is not None and layer in self]
        if present:
            with self.removed_together(), self._selection_kept():
                for layer in present:
                    self._layers.remove(layer)

    @contextmanager
    def removed_together(self) -> Iterator[None]:
        """Have napari collect garbage and rebuild the scene once for all layers that are removed.

        It takes a third of a second, which is lost where none is removed.
        """
        if self._is_batch:
            yield
            return
        self._is_batch = True
        try:
            with self._layers.batched_update():
                yield
        finally:
            self._is_batch = False

    def redraw(self, layer: Layer) -> None:
        """Redraw a layer's data on the canvas, and nothing else."""
        with self.unlisted():
            layer.refresh(extent=False, thumbnail=False, highlight=False)

    def unlisted(self) -> AbstractContextManager[Any]:
        """Change our layers while napari's layer list stays as it is drawn."""
        return unlisted(self._layers)

    @contextmanager
    def _selection_kept(self) -> Iterator[None]:
        selection = self._layers.selection
        selected, active = set(selection), selection.active
        was_changing, self.is_changing = self.is_changing, True
        try:
            yield
        finally:
            remaining = {layer for layer in selected if layer in self}
            selection.intersection_update(remaining)
            selection.update(remaining)
            if active in remaining:
                selection.active = active
                selection.update(remaining)
            self.is_changing = was_changing
