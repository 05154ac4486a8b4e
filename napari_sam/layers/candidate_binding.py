"""Shows the candidates of the object in progress, and what a click under the cursor would give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.layers.candidate_layers import CandidateLayers
from napari_sam.layers.cursor import CursorTracker
from napari_sam.layers.plane_binding import PlaneBinding
from napari_sam.layers.prompt_binding import PromptBinding
from napari_sam.layers.shortcuts import ShortcutMap
from napari_sam.layers.shown_plane import ShownPlane
from napari_sam.layers.viewer_layers import ViewerLayers
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.session import AnnotationSession
from napari_sam.session.state import SessionState


class CandidateBinding:
    """Connects the candidate layers and the cursor with the object in progress."""

    hover_changed = Signal(bool)
    """Whether the mask under the cursor is previewed."""

    def __init__(
        self,
        viewer: ViewerModel,
        layers: ViewerLayers,
        session: AnnotationSession,
        plane: PlaneBinding,
        prompts: PromptBinding,
        shortcuts: ShortcutMap,
        defer: Callable[[Callable[[], None]], None],
    ) -> None:
        self._viewer, self._layers, self._session = viewer, layers, session
        self._plane, self._shortcuts, self._defer = plane, shortcuts, defer
        self._prompts = prompts
        self._is_closed = self._is_making = False
        self._candidates = CandidateLayers(
            layers,
            self._add,
            lambda: shortcuts.run("undo"),
            lambda: shortcuts.run("redo"),
            session.state.active_model.spec.candidate_count,
        )
        self._cursor = CursorTracker(viewer, self._on_cursor_moved)
        prompts.drawing_started.connect(self._make_soon)

    def close(self) -> None:
        """Take the candidates out of the viewer."""
        self._is_closed = True
        self._cursor.switch(False)
        self._candidates.remove()

    @property
    def is_idle(self) -> bool:
        """Whether no layer is still to be made."""
        return not self._is_making

    def is_candidate(self, layer: Layer) -> bool:
        """Whether a layer shows a candidate."""
        return self._candidates.number_of(layer) is not None

    # Layers ----------------------------------------------------------------------------------

    def _make_soon(self) -> None:
        """Make the candidate layers one by one, with time for the user in between."""
        if not self._is_making:
            self._is_making = True
            self._defer(self._make_next)

    def _make_next(self) -> None:
        self._is_making = not self._is_closed and self._candidates.make_one()
        if self._is_making:
            self._defer(self._make_next)

    def _add(self, layer: Labels) -> None:
        self._layers.add(layer, below=self._prompts.own_layers)
        self._shortcuts.bind(layer)

    def go_to_plane(self, shown: ShownPlane | None) -> None:
        """Move to another plane, without a mask yet."""
        if shown is None:
            self._candidates.show(None, None)
        else:
            self._candidates.move_to(shown)

    def follow_image(self) -> None:
        """Take the transform of the image."""
        self._candidates.follow_image()

    def remove(self) -> None:
        """Take the layers out of the viewer until they are needed again."""
        self._candidates.remove()

    def forget(self, layer: Layer) -> None:
        """Handle the deletion of a layer by the user."""
        self._candidates.forget(layer)

    def show(self, state: SessionState) -> None:
        """Show the candidates of a state, or its preview."""
        if state.candidates is None and state.preview is not None:
            self._candidates.show(state.preview, state.preview.best, lightly=True)
        elif state.candidates is not None or not state.is_decoding:
            self._candidates.show(state.candidates, state.chosen)

    def choose_active(self) -> None:
        """Choose the candidate whose layer the user has selected."""
        number = self._candidates.number_of(self._viewer.layers.selection.active)
        candidates = self._session.state.candidates
        if number is not None and not self._layers.is_changing and candidates is not None:
            self._session.object_in_progress.choose(min(number, len(candidates) - 1))

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
        self._session.object_in_progress.hover(prompts)
