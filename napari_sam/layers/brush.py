"""napari's brush on accepted objects: taken up and put away with one key."""

from napari.layers import Labels
from psygnal import Signal

from napari_sam.layers.objects_binding import ObjectsBinding
from napari_sam.layers.prompt_binding import PromptBinding
from napari_sam.layers.target_binding import TargetBinding
from napari_sam.layers.workspace import Workspace
from napari_sam.session.connections import Connections
from napari_sam.session.objects.edits import Overlap


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
        self._selection = workspace.viewer.layers.selection
        self._editing = workspace.session.editing
        self._target, self._objects, self._prompts = target, objects, prompts
        self._tool_before = ""
        self._layer: Labels | None = None  # that the brush was taken up in
        self._preserved = self._preserved_before = False
        self._layer_connections = Connections()
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

    def toggle(self) -> None:
        """Paint in the target, or go back to the tool that was in use before."""
        layer = self._target.layer
        if layer is None or self._selection.active is not layer:
            self._tool_before = self._prompts.tool
            self._objects.attempt(self._take_up)
        else:
            self._prompts.start_tool(self._tool_before)

    def _take_up(self) -> None:
        layer = self._objects.start_brush()
        self._layer, self._preserved_before = layer, layer.preserve_labels
        self._preserved = layer.preserve_labels
        self._follow_overlap()
        events = layer.events
        self._layer_connections = Connections(
            (events.mode, self._announce), (events.selected_label, self._announce)
        )
        self._announce()

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
            if layer.preserve_labels == self._preserved:  # else the user has changed it since
                layer.preserve_labels = self._preserved_before
            self._announce()

    def _announce(self) -> None:
        self.changed.emit()
