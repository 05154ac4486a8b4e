"""Connects the window for the image's appearance to the model with session and layers."""

from napari_sam._qt.appearance_panel import AppearancePanel
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.tool_window import ToolWindow
from napari_sam.controllers.context import WidgetContext
from napari_sam.session.connections import Connections


class AppearanceController:
    """Shows and changes the appearance of the image in a window."""

    def __init__(self, context: WidgetContext) -> None:
        self._session, self._plane = context.session, context.binding.plane
        self._panel = OnDemand(AppearancePanel)
        self.window = ToolWindow(self._panel, context.widget)
        self._connections = Connections()
        self._panel.when_built(self._connect)

    @property
    def panel(self) -> AppearancePanel:
        """What is in the window, built when it is first needed."""
        return self._panel.get()

    def _connect(self, panel: AppearancePanel) -> None:
        appearances = self._plane.source.appearances
        panel.appearance_requested.connect(self._plane.set_appearance)
        self._connections = Connections(
            (self._session.changed, panel.show_state),
            (appearances.changed, panel.show_appearance),
        )
        panel.show_state(self._session.state)
        panel.show_appearance(*appearances.shown)

    def close(self) -> None:
        """Disconnect from session and layers."""
        self._connections.close()
