"""Layers of what follows from found masks: ranked boxes, and edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from napari.layers import Image, Shapes
from numpy.typing import NDArray

from napari_sam.layers.plane_view import placement
from napari_sam.layers.shown_plane import ShownPlane
from napari_sam.session.automatic.masks import AutomaticMask
from napari_sam.session.image.tiles import Tile

_MOST_BOXES: Final = 1000
"""As many as the paper ranks."""


def new_boxes_layer(shown: ShownPlane, proposals: Sequence[AutomaticMask]) -> Shapes:
    """Make a Shapes layer with the boxes of proposals, the most likely object first.

    Its features are `rank`, `quality` (the mean of the other two), `predicted_iou` and
    `stability_score`.
    """
    ranked = sorted(proposals, key=lambda one: -one.quality)[:_MOST_BOXES]
    rows: list[dict[str, Any]] = [
        {
            "rank": rank,
            "quality": round(one.quality, 4),
            "predicted_iou": round(one.record.predicted_iou, 4),
            "stability_score": round(one.record.stability_score, 4),
        }
        for rank, one in enumerate(ranked, 1)
    ]
    return Shapes(
        [shown.view.to_rc(_corners_xy(one)) for one in ranked],
        shape_type="rectangle",
        name=f"{shown.image.name}: boxes",
        features=pd.DataFrame(rows),
        edge_color="#29b6ff",
        face_color="transparent",
        edge_width=max(1, max(shown.view.shape) / 500),
        **placement(shown.image),
    )


def _corners_xy(one: AutomaticMask) -> NDArray[np.float64]:
    rows, columns = one.span
    x0, x1 = columns.start - 0.5, columns.stop - 0.5
    y0, y1 = rows.start - 0.5, rows.stop - 0.5
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def new_edges_layer(shown: ShownPlane, tile: Tile, edges: NDArray[np.float32]) -> Image:
    """Make an Image layer of the edges (h, w) of a tile, which lies on it."""
    pixel_size = tile.height / edges.shape[0], tile.width / edges.shape[1]
    return Image(
        shown.to_nd(edges),
        name=f"{shown.image.name}: edges",
        colormap="gray",
        blending="additive",
        contrast_limits=(0, 1),
        **shown.layer_placement(pixel_size, tile.top, tile.left),
    )
