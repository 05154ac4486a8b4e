"""Shows the steps to a first object until one has been accepted, then only when asked for."""

from napari_sam._qt.mask_panel import MaskPanel
from napari_sam.controllers.context import WidgetContext
from napari_sam.session.connections import Connections
from napari_sam.storage.first_run import end_first_run, is_first_run


class FirstRunController:
    """Shows the strip of steps in a `MaskPanel`."""

    def __init__(self, context: WidgetContext, panel: MaskPanel) -> None:
        self._panel, self._session = panel, context.session
        self._connections = Connections()
        panel.first_run.dismiss.clicked.connect(self._end)
        if is_first_run():
            self._begin()

    def close(self) -> None:
        """Follow the session no longer."""
        self._connections.close()

    def toggle(self) -> None:
        """Show the steps again, or dismiss them."""
        if self._panel.is_first_run:
            self._end()
        else:
            self._begin()

    def _begin(self) -> None:
        strip, session = self._panel.first_run, self._session
        self._connections = Connections(
            (session.changed, strip.show_state), (session.accepted, self._end)
        )
        strip.show_state(session.state)
        self._panel.show_first_run(True)

    def _end(self) -> None:
        self._connections.close()
        self._panel.show_first_run(False)
        end_first_run()
