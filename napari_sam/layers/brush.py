"""napari's brush on accepted objects: taken up and put away with one key."""

import math
from typing import Final
from weakref import WeakKeyDictionary

from napari.layers import Labels
from psygnal import Signal

from napari_sam.layers.napari_workarounds import set_mode
from napari_sam.layers.objects_binding import ObjectsBinding
from napari_sam.layers.prompt_binding import PromptBinding
from napari_sam.layers.target_binding import TargetBinding
from napari_sam.layers.workspace import Workspace
from napari_sam.session.connections import Connections
from napari_sam.session.objects.edits import Overlap

_BRUSH_SHARE: Final = 1 / 3
"""Size of the brush, as a share of the diameter of the object that it paints on."""
_NAPARI_SIZE: Final = 10
"""Of the brush of a new layer."""


class Brush:
    """Takes up napari's brush in the target; until it is put away, *overlaps* applies to it."""

    changed = Signal()
    """The brush was taken up or put away, or paints with another label."""

    def __init__(
        self,
        workspace: Workspace,
        target: TargetBinding,
        objects: ObjectsBinding,
        prompts: PromptBinding,
    ) -> None:
        self._viewer = workspace.viewer
        self._selection = workspace.viewer.layers.selection
        self._editing = workspace.session.editing
        self._target, self._objects, self._prompts = target, objects, prompts
        self._tool_before = ""
        self._layer: Labels | None = None  # that the brush was taken up in
        self._mode_before = "pan_zoom"
        self._preserved = self._preserved_before = False
        self._layer_connections = Connections()
        # As we or napari have set it in a layer; with another size, the user has.
        self._sizes = WeakKeyDictionary[Labels, int]()
        self._connections = Connections(
            (self._selection.events.active, self._on_active_changed),
            (self._editing.overlap_changed, self._follow_overlap),
        )

    def close(self) -> None:
        """Leave the layer to the user as it was."""
        self._connections.close()
        self._put_away()

    @property
    def label_id(self) -> int | None:
        """What the brush that was taken up paints with, 0 for nothing; None without a brush."""
        layer = self._layer
        return None if layer is None or layer.mode == "pan_zoom" else int(layer.selected_label)

    def toggle(self, *, at_cursor: bool = True) -> None:
        """Paint in the target, or go back to the tool that was in use before.

        `at_cursor`: paint on the object under the cursor, rather than on the one that is chosen.
        """
        if self.label_id is None:
            self._tool_before = self._prompts.tool or self._tool_before
            self._objects.attempt(self._take_up, at_cursor)
        else:
            self._prompts.start_tool(self._tool_before)

    def _take_up(self, at_cursor: bool) -> None:
        target = self._target.layer
        mode_before = "pan_zoom" if target is None else str(target.mode)
        layer = self._objects.start_brush(at_cursor=at_cursor)
        self._layer, self._mode_before = layer, mode_before
        self._preserved_before = layer.preserve_labels
        self._preserved = layer.preserve_labels
        self._fit_size(layer)
        self._follow_overlap()
        events = layer.events
        self._layer_connections = Connections(
            (events.mode, self._announce), (events.selected_label, self._announce)
        )
        self._announce()

    def _fit_size(self, layer: Labels) -> None:
        """Make the brush as large as suits the object, unless the user has chosen a size."""
        labels = self._target.labels
        record = None if labels is None else labels.registry.get(int(layer.selected_label))
        if record is None or layer.brush_size != self._sizes.get(layer, _NAPARI_SIZE):
            return
        dims = self._viewer.dims
        displayed = {axis - (dims.ndim - layer.ndim) for axis in dims.displayed}
        n_slices = math.prod(n for axis, n in enumerate(record.shape) if axis not in displayed)
        diameter = 2 * math.sqrt(record.area_px / (n_slices * math.pi))
        layer.brush_size = self._sizes[layer] = max(1, round(_BRUSH_SHARE * diameter))

    def _follow_overlap(self) -> None:
        """Let napari keep other objects' pixels unless new objects replace these."""
        if self._layer is not None:
            self._preserved = self._editing.overlap is not Overlap.REPLACE
            self._layer.preserve_labels = self._preserved

    def _on_active_changed(self) -> None:
        if self._selection.active is not self._layer:
            self._put_away()

    def _put_away(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            self._layer_connections.close()
            set_mode(self._viewer, layer, self._mode_before)  # or a click there would paint
            if layer.preserve_labels == self._preserved:  # else the user has changed it since
                layer.preserve_labels = self._preserved_before
            self._announce()

    def _announce(self) -> None:
        self.changed.emit()
