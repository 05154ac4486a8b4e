"""Published models: what there is, where it lies already, and how to get it.

Nothing here imports torch, so a list of models costs no wait.
"""

from napari_sam.catalogue.download import DownloadError, discard, download, remove_leftovers
from napari_sam.catalogue.offers import Offer, list_offers
from napari_sam.catalogue.places import candidates, locate, own_files
from napari_sam.catalogue.table import EMBEDDED, MODELS, PublishedModel, find_model

__all__ = [
    "EMBEDDED",
    "MODELS",
    "DownloadError",
    "Offer",
    "PublishedModel",
    "candidates",
    "discard",
    "download",
    "find_model",
    "list_offers",
    "locate",
    "own_files",
    "remove_leftovers",
]
