"""Layers derived from automatic masks: ranked boxes, and edges."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from napari.layers import Image, Shapes
from numpy.typing import NDArray

from napari_sam.layers.plane_view import PlaneView, ShownPlane, placement
from napari_sam.layers.viewer_layers import mark_for
from napari_sam.session.automatic.masks import AutomaticMask
from napari_sam.session.image.tiles import Tile

_MAX_BOXES: Final = 1000
"""The paper ranks as many."""


def new_boxes_layer(shown: ShownPlane, masks: Sequence[AutomaticMask]) -> Shapes:
    """Make a Shapes layer with the boxes of masks, the most likely object first.

    Its features are `rank`, `quality` (the mean of the other two), `predicted_iou` and
    `stability_score`.
    """
    ranked = sorted(masks, key=lambda mask: -mask.quality)[:_MAX_BOXES]
    features = {
        "rank": range(1, len(ranked) + 1),
        "quality": [round(mask.quality, 4) for mask in ranked],
        "predicted_iou": [round(mask.record.predicted_iou, 4) for mask in ranked],
        "stability_score": [round(mask.record.stability_score, 4) for mask in ranked],
    }
    return Shapes(
        [_view_of(mask, shown.view).to_rc(_corners_xy(mask)) for mask in ranked],
        shape_type="rectangle",
        name=f"{shown.image.name}: boxes",
        features=features,
        edge_color="#29b6ff",
        face_color="transparent",
        edge_width=max(1, max(shown.view.shape) / 500),
        **placement(shown.image),
    )


def _view_of(mask: AutomaticMask, view: PlaneView) -> PlaneView:
    """Return the plane that a mask lies on; of one of several slices, that of the best."""
    return view if mask.slice_index is None else view.at_slice(mask.slice_index)


def _corners_xy(mask: AutomaticMask) -> NDArray[np.float64]:
    x0, y0, x1, y1 = mask.edges_xyxy
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def new_edges_layer(shown: ShownPlane, tile: Tile, edges: NDArray[np.float32]) -> Image:
    """Make an Image layer of the edges (h, w) of a tile, placed on it."""
    pixel_size = tile.height / edges.shape[0], tile.width / edges.shape[1]
    return Image(
        shown.view.to_nd(edges),
        name=f"{shown.image.name}: edges",
        colormap="gray",
        blending="additive",
        contrast_limits=(0, 1),
        metadata=mark_for(shown.image),
        **shown.layer_placement(pixel_size, tile.top, tile.left),
    )
