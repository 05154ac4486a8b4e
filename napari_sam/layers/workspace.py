"""What the parts of a layer binding share."""

from napari.components import ViewerModel

from napari_sam.layers.shortcuts import ShortcutMap
from napari_sam.layers.viewer_layers import ViewerLayers
from napari_sam.session.jobs import Defer
from napari_sam.session.session import AnnotationSession


class Workspace:
    """A viewer, our layers in it with their keys, and the session that annotates there."""

    def __init__(
        self, viewer: ViewerModel, session: AnnotationSession, defer: Defer, defer_longer: Defer
    ) -> None:
        self.viewer, self.session = viewer, session
        self.defer, self.defer_longer = defer, defer_longer
        """Call an action soon, and after what the user has done meanwhile."""
        self.layers = ViewerLayers(viewer.layers)
        self.shortcuts = ShortcutMap()
