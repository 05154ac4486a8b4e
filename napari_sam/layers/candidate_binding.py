"""Shows the candidates of the object in progress, and what a click under the cursor would give."""

from typing import Any, Final

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.layers.candidate_layers import CandidateLayers
from napari_sam.layers.cursor import CursorTracker
from napari_sam.layers.plane_binding import PlaneBinding
from napari_sam.layers.prompt_binding import PromptBinding
from napari_sam.layers.workspace import Workspace
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.state import SessionState

_LEVEL_STEP: Final = 0.05
"""Of the level, for a press of a key or a notch of the wheel."""


class CandidateBinding:
    """Connects the candidate layers and the cursor with the object in progress."""

    hover_changed = Signal(bool)
    """Whether the mask under the cursor is previewed."""

    def __init__(self, workspace: Workspace, plane: PlaneBinding, prompts: PromptBinding) -> None:
        self._viewer, self._layers = workspace.viewer, workspace.layers
        self._session, self._defer = workspace.session, workspace.defer_longer
        self._plane = plane
        self.is_making = self._is_closed = False
        """Whether a layer is still to be made."""
        self.candidate_layers = CandidateLayers(workspace, prompts.image_prompts)
        self._cursor = CursorTracker(workspace.viewer, self._on_cursor_moved)
        prompts.drawing_started.connect(self._make_soon)
        self._viewer.mouse_wheel_callbacks.append(self._on_wheel)

    def close(self) -> None:
        """Take the candidates out of the viewer."""
        self._is_closed = True
        self._cursor.switch(False)
        self._viewer.mouse_wheel_callbacks.remove(self._on_wheel)
        self.candidate_layers.remove()

    # Layers ----------------------------------------------------------------------------------

    def _make_soon(self) -> None:
        """Make the candidate layers one by one, with time for the user in between."""
        if not self.is_making:
            self.is_making = True
            self._defer(self._make_next)

    def _make_next(self) -> None:
        self.is_making = not self._is_closed and self.candidate_layers.make_one()
        if self.is_making:
            self._defer(self._make_next)

    def show(self, state: SessionState) -> None:
        """Show the candidates of a state, or its preview."""
        if state.candidates is None and state.preview is not None:
            self.candidate_layers.show(state.preview, state.preview.best, lightly=True)
        elif state.candidates is not None or not state.is_decoding:
            self.candidate_layers.show(state.candidates, state.chosen)

    def choose_active(self) -> None:
        """Choose the candidate whose layer the user has selected."""
        number = self.candidate_layers.number_of(self._viewer.layers.selection.active)
        candidates = self._session.state.candidates
        if number is not None and not self._layers.is_changing and candidates is not None:
            self._session.object_in_progress.choose(min(number, len(candidates) - 1))

    def change_level(self, steps: float) -> None:
        """Grow the shown mask by some steps, or shrink it by negative ones."""
        level = round(self._session.state.level + steps * _LEVEL_STEP, 3)
        self._session.object_in_progress.set_level(min(max(level, -1), 1))

    def _on_wheel(self, _: ViewerModel, event: Any) -> None:
        """Change the level by the wheel with Shift, which napari leaves alone."""
        if tuple(event.modifiers) != ("Shift",) or self._session.state.candidates is None:
            return
        # Some systems turn the wheel sideways while Shift is pressed.
        notches = float(np.sum(event.delta))
        self.change_level(-notches if event.native.inverted() else notches)
        event.handled = True

    # Preview ---------------------------------------------------------------------------------

    def set_hover(self, on: bool) -> None:
        """Preview the mask under the cursor as it moves over the image, or stop that."""
        self._cursor.switch(on)
        self.hover_changed.emit(on)

    def toggle_hover(self) -> None:
        """Switch the preview on or off."""
        self.set_hover(not self._cursor.is_on)

    def _on_cursor_moved(self, world: NDArray[np.float64] | None) -> None:
        shown, prompts = self._plane.shown, None
        if world is not None and shown is not None:
            points_rc = np.asarray(shown.image.world_to_data(world), float)[np.newaxis]
            prompts = Prompts(tuple(map(tuple, shown.view.to_xy(points_rc))), (FOREGROUND,))
        self._session.object_in_progress.preview.want(prompts)
