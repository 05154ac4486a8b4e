"""Answers to the JSON requests that hosted SAM endpoints take; no server is needed.

Source of the form: the model cards of Meta's SAM in Azure's machine learning registry.
"""

from napari_sam.request.answer import answer_request
from napari_sam.request.images import Rules
from napari_sam.request.rows import COLUMNS, RequestError

__all__ = ["COLUMNS", "RequestError", "Rules", "answer_request"]
