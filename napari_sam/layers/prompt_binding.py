"""Keeps the prompt layers of the shown plane and the object in progress the same."""

from collections.abc import Hashable
from typing import Any

from napari.layers import Layer, Points, Shapes
from psygnal import Signal

from napari_sam.layers.image_prompts import ImagePrompts, PromptSlot
from napari_sam.layers.plane_view import PlaneView
from napari_sam.layers.shape_prompts import TOOLS
from napari_sam.layers.workspace import Workspace
from napari_sam.session.connections import Connections
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts
from napari_sam.session.state import NO_IMAGE_HINT, SessionState


class PromptBinding:
    """Sends what the user draws to the session, and draws what the session changes."""

    layers_changed = Signal()
    """Prompts are read from other layers: the user's or ours."""
    polarity_changed = Signal(int)
    """The point label of the next click: 1 foreground, 0 background."""
    drawing_started = Signal()
    """A tool was activated: candidates will be needed soon."""
    tool_changed = Signal(str)
    """What the next click or drag draws: "points" or one of `TOOLS`; "" for no prompt."""

    def __init__(self, workspace: Workspace) -> None:
        self._viewer, self._session = workspace.viewer, workspace.session
        self._defer = workspace.defer
        self._last_read = Prompts()
        self._n_areas = 0  # when the last gesture began
        # Planes whose prompts were undone while another one was shown: their layers are outdated.
        self._undone: set[Hashable] = set()
        self._is_closed = False
        self._paused_tool = ""
        self._active = workspace.viewer.layers.selection.events.active
        self._active.connect(self._on_active_changed)
        self._mode_connection = Connections()
        self.image_prompts = ImagePrompts(workspace, self._send, self._on_gesture)
        """The prompt layers of the current image."""
        self._on_active_changed()

    def close(self) -> None:
        """Let the layers go; those with prompts stay in the viewer."""
        self._is_closed = True
        self._active.disconnect(self._on_active_changed)
        self._mode_connection.close()
        self.image_prompts.close()

    # The plane -------------------------------------------------------------------------------

    def go_to_plane(self, key: Hashable, view: PlaneView | None) -> Prompts | None:
        """Read the prompts of another plane; None if those of the session are to be drawn."""
        if self.image_prompts.set_view(view):
            self._session.notifier.warn(
                "The prompts were removed, as the image has other axes now. Click again."
            )
        self._last_read = self.image_prompts.read()
        self._pause(view is None)
        if key is None or key in self._undone:
            self._undone.discard(key)
            return None
        return self._last_read

    def _pause(self, is_paused: bool) -> None:
        """Put the tool away while no plane is shown: its prompts would never be read."""
        active, tool = self._viewer.layers.selection.active, self.tool
        if is_paused and tool:
            active.mode, self._paused_tool = "pan_zoom", tool
        elif not is_paused and self._paused_tool:
            tool, self._paused_tool = self._paused_tool, ""
            if any(active is layer for layer in self.image_prompts.own_layers):
                self.start_tool(tool)

    def note_undone(self, key: Hashable) -> None:
        """Draw the session's prompts when this plane is shown, whatever its layers hold."""
        self._undone.add(key)

    # Polarity and tools ------------------------------------------------------------------------

    def set_polarity(self, label: int) -> None:
        """Choose what the next click on the points layer means."""
        self.image_prompts.set_polarity(label)
        self.polarity_changed.emit(label)

    def flip_polarity(self) -> None:
        """Flip what the next click or scribble means, and those the user has selected."""
        self.image_prompts.flip_selected(self._viewer.layers.selection.active)
        self.set_polarity(BACKGROUND if self.image_prompts.polarity == FOREGROUND else FOREGROUND)

    def start_tool(self, tool: str) -> None:
        """Get ready to draw with one of `TOOLS`, or for clicks."""
        if tool in TOOLS:
            self.start_shape(tool)
        else:
            self.start_points()

    def start_points(self) -> None:
        """Get ready for clicks: our points layer, or the user's, is selected in add mode."""
        self._start(self.image_prompts.points, "points", "add")

    def start_shape(self, tool: str) -> None:
        """Get ready to draw with one of `TOOLS` in our boxes layer, or in the user's."""
        self._start(self.image_prompts.boxes, tool, TOOLS[tool])

    def _start(self, slot: PromptSlot[Any], tool: str, mode: str) -> None:
        prompts, hint = self.image_prompts.make(slot), self._session.state.hint
        if self.image_prompts.view is None:
            self._paused_tool = tool
            if hint != NO_IMAGE_HINT:
                self._session.notifier.warn(hint)
        elif prompts is not None:
            self._viewer.layers.selection.active = prompts.layer
            prompts.layer.mode = mode
            self.drawing_started.emit()
        self._announce_tool()

    @property
    def tool(self) -> str:
        """What the next click or drag draws: "points" or one of `TOOLS`; "" for no prompt."""
        active, image_prompts = self._viewer.layers.selection.active, self.image_prompts
        for prompts, tools in (
            (image_prompts.points.prompts, {"points": "add"}),
            (image_prompts.boxes.prompts, TOOLS),
        ):
            if prompts is not None and prompts.layer is active:
                return next((tool for tool, mode in tools.items() if mode == active.mode), "")
        return ""

    def _on_active_changed(self) -> None:
        """Follow the mode of the selected layer, which napari's own buttons and keys change."""
        self._mode_connection.close()
        active = self._viewer.layers.selection.active
        if isinstance(active, Points | Shapes):
            self._mode_connection = Connections((active.events.mode, self._announce_tool))
        self._announce_tool()

    def _announce_tool(self) -> None:
        self.tool_changed.emit(self.tool)

    # The user's layers -------------------------------------------------------------------------

    def set_layers(self, points: Points | None, boxes: Shapes | None) -> None:
        """Read prompts from the user's own layers; None stands for ours."""
        self.image_prompts.set_user_layers(points, boxes)
        self._send()
        self.layers_changed.emit()

    def forget(self, layer: Layer) -> bool:
        """Handle a layer's deletion; return whether it held prompts of the current image."""
        was_used = self.image_prompts.forget(layer)
        if was_used:
            self._send()
            self.layers_changed.emit()
        return was_used

    # To the session and back -------------------------------------------------------------------

    def _send(self) -> None:
        prompts = self.image_prompts.read()
        if prompts != self._last_read:
            self._last_read = prompts
            self._session.set_prompts(prompts)

    def _on_gesture(self, begins: bool) -> None:
        if begins:
            self._n_areas = self.image_prompts.n_areas
            self._session.object_in_progress.set_gesture(True)
        else:
            self._session.object_in_progress.set_gesture(False)
            # Only when napari has finished drawing may the box before this one be removed.
            self._defer(self._finish_gesture)

    def show(self, state: SessionState) -> None:
        """Draw the prompts of the session, unless the layers hold them already."""
        prompts = state.prompts
        if prompts != self._last_read and self.image_prompts.view is not None:
            if prompts.is_empty and self.image_prompts.polarity == BACKGROUND:
                self.set_polarity(FOREGROUND)  # an object begins with what belongs to it
            self._write()

    def _finish_gesture(self) -> None:
        if self._is_closed:
            return
        self.image_prompts.set_polarity(self.image_prompts.polarity)  # the mouse may have chosen
        is_other_shape = self.image_prompts.n_areas > self._n_areas
        self._session.object_in_progress.finish_drawing(is_other_shape=is_other_shape)
        self._write()
        self._announce_tool()  # a click may have begun a shape that is still open

    def _write(self) -> None:
        if not self._is_closed:
            self.image_prompts.write(self._session.state.prompts)
            self._last_read = self.image_prompts.read()
