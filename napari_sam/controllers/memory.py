"""Connects the choice to carry objects on by what the model remembers, and keeps it."""

from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.stack_panel import StackPanel
from napari_sam.controllers.context import WidgetContext
from napari_sam.engine.spec import Capability
from napari_sam.session.connections import Connections
from napari_sam.session.state import SessionState
from napari_sam.storage.options import load_options, save_options


class MemoryController:
    """Offers memory while the model in use has any; the choice outlasts models that have none."""

    def __init__(self, context: WidgetContext, panel: OnDemand[StackPanel]) -> None:
        self._session, self._panel = context.session, panel
        self._is_on = load_options().get("memory") is True
        self._session.stack.propagation.remember(self._is_on)
        panel.when_built(self._connect)
        self._connections = Connections((self._session.changed, self._show))

    def close(self) -> None:
        """Disconnect from the session."""
        self._connections.close()

    def _connect(self, panel: StackPanel) -> None:
        panel.memory.toggled.connect(self._on_toggled)
        self._show(self._session.state)

    def _show(self, state: SessionState) -> None:
        panel = self._panel.built
        if panel is not None:
            is_offered = Capability.MEMORY in state.spec.capabilities
            panel.show_memory(is_offered=is_offered, is_on=self._is_on)

    def _on_toggled(self, is_on: bool) -> None:
        self._is_on = is_on
        self._session.stack.propagation.remember(is_on)
        save_options({"memory": is_on})
