"""Shows the steps to a first object until one has been accepted, then never again."""

from napari_sam._qt.mask_panel import MaskPanel
from napari_sam.controllers.context import WidgetContext
from napari_sam.session.connections import Connections
from napari_sam.storage.first_run import end_first_run, is_first_run


class FirstRunController:
    """Shows the strip of steps in a `MaskPanel`."""

    def __init__(self, context: WidgetContext, panel: MaskPanel) -> None:
        self._panel = panel
        self._connections = Connections()
        if is_first_run():
            self._connections = Connections(
                (context.session.changed, panel.first_run.show_state),
                (context.session.accepted, self._on_accepted),
            )
            panel.show_first_run(True)
            panel.first_run.show_state(context.session.state)

    def close(self) -> None:
        """Follow the session no longer."""
        self._connections.close()

    def _on_accepted(self) -> None:
        self._connections.close()
        self._panel.show_first_run(False)
        end_first_run()
