"""Shows what the user can do next."""

from __future__ import annotations

from napari_sam._qt.workarounds import FixedHeightLabel
from napari_sam.session.connections import Connections
from napari_sam.session.session import AnnotationSession


class HintController:
    """Shows the hint of the session, or that of the review of automatic masks."""

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session
        self.label = FixedHeightLabel(min_lines=3)
        self._connections = Connections(
            (session.changed, self._show), (session.automatic_review.changed, self._show)
        )
        self._show()

    def close(self) -> None:
        """Disconnect from session and review."""
        self._connections.close()

    def _show(self) -> None:
        state = self._session.state
        # Prompts during a review start an object of their own.
        of_review = self._session.automatic_review.hint if state.prompts.is_empty else ""
        self.label.set_text(of_review or state.hint)
