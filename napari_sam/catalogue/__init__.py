"""The published models, their files on this computer, and verified downloads.

Nothing here imports torch, so listing models is quick.
"""

from napari_sam.catalogue.download import DownloadError, discard, download, remove_leftovers
from napari_sam.catalogue.local_files import candidates, locate, own_files
from napari_sam.catalogue.offers import Offer, list_offers
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
