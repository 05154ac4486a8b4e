"""Between the model picker, the supply of models, and the session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_warning

from napari_sam._qt.model_panel import ModelPanel
from napari_sam.catalogue import Offer, PublishedModel, list_offers
from napari_sam.session import AnnotationSession, Dispatcher
from napari_sam.session.model_supply import ModelSupply


class ModelSwitch:
    """Gets the models that a person picks, and has the session go on with them.

    Parameters
    ----------
    panel : ModelPanel
        Where the person picks.
    session : AnnotationSession
        What works with the model.
    dispatcher : Dispatcher
        How what was got reaches the GUI thread.
    """

    def __init__(
        self, panel: ModelPanel, session: AnnotationSession, dispatcher: Dispatcher
    ) -> None:
        self._panel = panel
        self._session = session
        self._opened: list[Offer] = []
        self.supply = ModelSupply(dispatcher)
        self._connections: tuple[tuple[Any, Any], ...] = (
            (self.supply.changed, panel.show_supply),
            (self.supply.supplied, self._on_supplied),
            (self.supply.failed, show_warning),
            (panel.model_requested, self.supply.request),
            (panel.file_requested, self._on_panel_file_requested),
            (panel.cancel_requested, self.supply.cancel),
            (panel.device_requested, self._on_panel_device_requested),
            (panel.exact_requested, self._on_panel_exact_requested),
        )
        for signal, callback in self._connections:
            signal.connect(callback)
        self._opened_by_choice()
        self._refresh()

    def close(self) -> None:
        """Stop a download, and let the panel and the session go."""
        for signal, callback in self._connections:
            signal.disconnect(callback)
        self.supply.close()

    def _refresh(self) -> None:
        self._panel.set_offers([*list_offers(), *self._opened])

    def _opened_by_choice(self) -> None:
        """Offer the file that the session began with."""
        choice = self._session.state.model
        if choice.checkpoint is not None:
            self._offer_file(choice.checkpoint)

    def _offer_file(self, path: Path) -> str:
        """Offer a file, and return the name by which it is offered."""
        for offer in [*list_offers(), *self._opened]:
            if offer.path == path:
                return offer.name
        self._opened.append(Offer(path.name, None, path))
        return path.name

    def _use(self, **changes: Any) -> None:
        self._session.set_model(replace(self._session.state.model, **changes))

    def _on_supplied(self, model: PublishedModel, path: Path) -> None:
        self._refresh()
        self._use(name=model.name, checkpoint=None if path == model.embedded else path)

    def _on_panel_file_requested(self, path: Path) -> None:
        self.supply.cancel()
        name = self._offer_file(path)
        self._refresh()
        self._use(name=name, checkpoint=path)

    def _on_panel_device_requested(self, device: str) -> None:
        self._use(device=device, exact=None)

    def _on_panel_exact_requested(self, exact: bool) -> None:
        self._use(exact=exact)
