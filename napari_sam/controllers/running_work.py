"""What runs in the background while the user can keep clicking."""

from psygnal import Signal

from napari_sam.session.connections import Connections
from napari_sam.session.session import AnnotationSession


class RunningWork:
    """Names the runs of a session, whichever tab is shown."""

    changed = Signal()
    """`hint` changed."""

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session
        self.hint = ""
        """What runs, as a hint; empty without a run."""
        self._connections = Connections(
            (session.stack.propagation.changed, self._update),
            (session.automatic.changed, self._update),
            (session.batch_prompts.changed, self._update),
        )

    def close(self) -> None:
        """Follow the session no longer."""
        self._connections.close()

    def _update(self) -> None:
        before, self.hint = self.hint, self._named()
        if self.hint != before:
            self.changed.emit()

    def _named(self) -> str:
        session = self._session
        if session.batch_prompts.state is not None:
            return "Segmenting a batch; you can keep clicking."
        if session.stack.propagation.state is not None:
            return "Propagating through the stack; you can keep clicking."
        if session.automatic.state.is_running:
            return "Finding automatic masks; you can keep clicking."
        return ""
