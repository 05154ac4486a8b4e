"""Answer the JSON requests of hosted SAM endpoints, without a server.

Source of the form: the model cards of Meta's SAM in Azure's machine learning registry.
"""

from napari_sam.request.answer import answer_request
from napari_sam.request.images import Rules
from napari_sam.request.rows import COLUMNS, TEXT_COLUMN, RequestError
from napari_sam.request.words import WordFinder

__all__ = ["COLUMNS", "TEXT_COLUMN", "RequestError", "Rules", "WordFinder", "answer_request"]
