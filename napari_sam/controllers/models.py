"""Connects the model panel, the fetching of models, and the session."""

from dataclasses import replace
from pathlib import Path

from napari_sam._qt.model_panel import ModelPanel
from napari_sam.catalogue.download import remove_leftovers
from napari_sam.catalogue.offers import Offer, list_offers
from napari_sam.catalogue.table import BUNDLED, PublishedModel, display_name
from napari_sam.controllers.context import WidgetContext
from napari_sam.session.connections import Connections
from napari_sam.session.models.fetching import ModelFetcher
from napari_sam.session.models.model_choice import ModelChoice
from napari_sam.storage.decoder_files import find_decoder
from napari_sam.storage.folders import models_folder


class ModelController:
    """Fetches the models that a user picks, and switches the session to them."""

    def __init__(self, context: WidgetContext, panel: ModelPanel) -> None:
        self.panel, self._messages = panel, context.messages
        self._session = session = context.session
        self._opened: list[Path] = []
        self._awaited: PublishedModel | None = None  # the user's last choice while it is fetched
        self._picked: PublishedModel | None = None  # what the user picked last, in the window
        self.fetcher = ModelFetcher(context.dispatcher)
        self._connections = Connections(
            (session.changed, panel.show_state),
            (self.fetcher.changed, panel.show_fetch),
            (self.fetcher.found, self._on_fetch_found),
            (self.fetcher.downloaded, self._on_fetch_downloaded),
            (self.fetcher.failed, self._on_fetch_failed),
            (panel.model_requested, self._on_panel_model_picked),
            (panel.download_requested, self._on_panel_download_requested),
            (panel.file_requested, self._on_panel_file_requested),
            (panel.combo.list_requested, self._refresh),
            (panel.cancel.clicked, self.fetcher.cancel),
            (panel.device.textActivated, self._on_device_chosen),
            (panel.exact.clicked, self._on_exact_clicked),
        )
        panel.show_state(session.state)
        remove_leftovers()
        first = session.state.requested_model.checkpoint
        if first is not None:
            self._offer_file(first)
        self._refresh()

    def close(self) -> None:
        """Stop a download, and disconnect panel and session."""
        self._connections.close()
        self.fetcher.close()

    def open_with(self, model: PublishedModel) -> None:
        """Switch to the model that the user prefers, once it is found; it may be missing."""
        if model != BUNDLED:
            self._find(model)

    def _refresh(self) -> None:
        self.panel.set_offers(list_offers(self._opened))

    def offer_file(self, path: Path) -> None:
        """List a file as the user's own."""
        self._offer_file(path)
        self._refresh()

    def _offer_file(self, path: Path) -> str:
        """List a file as the user's own, and return its name in the list."""
        if not any(offer.path == path for offer in self._own_offers()):
            self._opened.append(path)
        return next(offer.name for offer in self._own_offers() if offer.path == path)

    def _own_offers(self) -> list[Offer]:
        return [offer for offer in list_offers(self._opened) if offer.model is None]

    def _use(self, choice: ModelChoice) -> None:
        self._refresh()
        self._session.set_model(choice)

    def _on_fetch_found(self, model: PublishedModel, path: Path) -> None:
        if model != self._awaited:
            return
        self._use_published(model, path)
        if model == self._picked and _lacks_decoder(model, path):
            self._awaited = model
            self.fetcher.download(model)

    def _use_published(self, model: PublishedModel, path: Path) -> None:
        self._awaited = None
        checkpoint = None if path == model.bundled else path
        requested = self._session.state.requested_model
        self._use(requested.with_weights(model.name, checkpoint, model.spec))

    def _on_fetch_downloaded(self, model: PublishedModel, path: Path) -> None:
        if model == self._awaited:
            self._use_published(model, path)
        else:  # the user has chosen another model meanwhile
            self._refresh()
            self._messages.info(
                f"Downloaded {display_name(model.name)}. Choose it in the list of models to use it."
            )

    def _on_fetch_failed(self, message: str) -> None:
        self._refresh()
        self._messages.fail(message)

    def _on_panel_model_picked(self, model: PublishedModel) -> None:
        self._picked = model
        self._find(model)

    def _find(self, model: PublishedModel) -> None:
        self._awaited = model
        self.fetcher.find(model)

    def _on_panel_download_requested(self, model: PublishedModel) -> None:
        self._awaited = model
        self.fetcher.cancel_find()
        self.fetcher.download(model)

    def _on_panel_file_requested(self, path: Path) -> None:
        self._awaited = None
        self.fetcher.cancel_find()
        requested = self._session.state.requested_model
        self._use(requested.with_weights(self._offer_file(path), path))

    def _on_device_chosen(self, device: str) -> None:
        self._session.set_model(
            replace(self._session.state.requested_model, device=device, exact=None)
        )

    def _on_exact_clicked(self, exact: bool) -> None:
        self._session.set_model(replace(self._session.state.requested_model, exact=exact))


def _lacks_decoder(model: PublishedModel, path: Path) -> bool:
    """Whether a model in our folder has an instance decoder that is not beside it."""
    if model.decoder is None or model.decoder.url is None or path.parent != models_folder():
        return False
    return find_decoder(path) is None
