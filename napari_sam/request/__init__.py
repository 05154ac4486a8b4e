"""Answer the JSON requests of hosted SAM endpoints, without a server.

Source of the form: the model cards of Meta's SAM in Azure's machine learning registry.
"""

from napari_sam.request.answer import answer_request
from napari_sam.request.images import Rules
from napari_sam.request.rows import COLUMNS, RequestError

__all__ = ["COLUMNS", "RequestError", "Rules", "answer_request"]
