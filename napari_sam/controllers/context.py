"""What the controllers of one widget share."""

from dataclasses import dataclass

from napari.components import ViewerModel
from qtpy.QtWidgets import QWidget

from napari_sam.controllers.messages import Messages
from napari_sam.controllers.preferences import Preferences
from napari_sam.layers import LayerBinding
from napari_sam.session.embedding.store import EmbeddingStore
from napari_sam.session.jobs import Dispatcher
from napari_sam.session.session import AnnotationSession


@dataclass(frozen=True)
class WidgetContext:
    """A widget, its viewer, and what it makes to annotate images in it."""

    widget: QWidget
    viewer: ViewerModel
    dispatcher: Dispatcher
    store: EmbeddingStore
    session: AnnotationSession
    binding: LayerBinding
    messages: Messages
    preferences: Preferences
