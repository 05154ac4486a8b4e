"""Boxes of automatic masks and edges of the image, as layers of their own."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_sam._qt.automatic_results_box import AutomaticResultsBox
from napari_sam.controllers.context import WidgetContext
from napari_sam.engine.automatic_presets import EDGE_SETTINGS
from napari_sam.layers.automatic_by_products import new_boxes_layer, new_edges_layer
from napari_sam.layers.plane_view import ShownPlane
from napari_sam.layers.viewer_layers import ViewerLayers
from napari_sam.session.automatic.request import AutomaticRequest
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.connections import Connections
from napari_sam.session.image.tiles import TilePyramid


class AutomaticByProductsController:
    """Fulfils the requests for boxes and edges.

    `masks_plane` returns where the masks on offer lie.
    """

    def __init__(
        self,
        context: WidgetContext,
        results: AutomaticResultsBox,
        layers: ViewerLayers,
        masks_plane: Callable[[], ShownPlane | None],
    ) -> None:
        self._binding, self._session = context.binding, context.session
        self._generator, self._layers = context.session.automatic, layers
        self._masks_plane = masks_plane
        self._edges_plane: ShownPlane | None = None
        self._connections = Connections(
            (results.boxes.clicked, self.add_boxes),
            (results.edges.clicked, self.run_edges),
            (self._generator.edges_detected, self._on_edges_detected),
        )

    def close(self) -> None:
        """Let go of the panel."""
        self._connections.close()

    def add_boxes(self) -> None:
        """Add the boxes of all shown masks, as a new layer."""
        picture, place = self._generator.picture, self._masks_plane()
        if place is not None and picture is not None and picture.masks:
            self._layers.add(new_boxes_layer(place, picture.masks))

    def run_edges(self) -> None:
        """Detect the edges in the image, as a new layer."""
        shown, plane = self._binding.plane.shown, self._session.embedding.plane
        if shown is None or plane is None:
            return
        self._edges_plane = shown
        settings = AutomaticRunSettings.of_published(EDGE_SETTINGS)
        whole = TilePyramid(plane.shape, self._session.state.spec).whole
        self._generator.start_edges(AutomaticRequest(plane, (whole,), settings, keep_logits=True))

    def _on_edges_detected(self, request: AutomaticRequest, edges: NDArray[np.float32]) -> None:
        shown, self._edges_plane = self._edges_plane, None
        if shown is not None and shown.is_possible and shown.image in self._layers:
            self._layers.add(new_edges_layer(shown, request.tiles[0], edges))
