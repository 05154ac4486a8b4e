"""What the user has set for the plugin in napari's preferences."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from napari.settings import get_plugin_settings, get_settings

from napari_sam._distribution import DISTRIBUTION
from napari_sam.catalogue.table import BUNDLED, PublishedModel, find_model
from napari_sam.session.embedding.store import DEFAULT_CAPACITY_BYTES, EmbeddingStore
from napari_sam.session.models.model_choice import AUTO, ModelChoice
from napari_sam.storage.folders import EMBEDDINGS_VARIABLE, expand_user

_GIB: Final = 2**30


def preferences_file() -> Path | None:
    """Return where napari saves what was set; None if it saves nothing."""
    of_napari = get_settings().config_path
    return None if of_napari is None else Path(of_napari).with_name(f"{DISTRIBUTION}.yaml")


def keep_of_objects(name: str, is_on: bool) -> None:
    """Set in napari's preferences, its only place, what the user has set in the dock."""
    if preferences_file() is not None:
        with suppress(KeyError):  # napari does not know the plugin
            setattr(get_plugin_settings(DISTRIBUTION).objects, name, is_on)


@dataclass(frozen=True)
class Preferences:
    """Settings that a widget begins with; those of the dock itself are kept by the dock."""

    name: str = BUNDLED.name  # of a published model
    device: str = AUTO
    accept_at_once: bool = False
    color_by_class: bool = False
    journal: bool = True
    prefetch: bool = True
    folder: str = ""  # of embeddings; empty for the default one
    size_gib: float = DEFAULT_CAPACITY_BYTES / _GIB

    @classmethod
    def load(cls) -> Preferences:
        """Return what is set; the defaults where napari does not know the plugin.

        Most people never set anything, and napari reads the manifests of all plugins to tell.
        """
        file = preferences_file()
        if file is None or not file.exists():
            return cls()
        try:
            settings = get_plugin_settings(DISTRIBUTION)
        except KeyError:
            return cls()
        groups = settings.model, settings.objects, settings.embeddings
        return cls(**{name: value for group in groups for name, value in group})

    @property
    def published(self) -> PublishedModel:
        """The model to open with, as soon as it is found."""
        return find_model(self.name)

    @property
    def model(self) -> ModelChoice:
        """The bundled model on the device."""
        return ModelChoice(device=self.device)

    def store(self) -> EmbeddingStore:
        """Return a store in the folder, unless the environment names another one."""
        folder: Path | None = None
        if self.folder.strip() and not os.environ.get(EMBEDDINGS_VARIABLE):
            folder = expand_user(self.folder.strip())
        return EmbeddingStore(folder, round(self.size_gib * _GIB))
