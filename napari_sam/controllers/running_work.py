"""What runs in the background while the user may go on clicking."""

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
        """What runs, as the beginning of a hint; empty without a run."""
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
            return "A batch is being segmented."
        if session.stack.propagation.state is not None:
            return "Objects are being carried on through the stack."
        if session.automatic.state.is_running:
            return "Automatic masks are being searched for."
        return ""
