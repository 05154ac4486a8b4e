"""What tells whether an object goes on: its border, its contrast and what the model sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.embedding.pooling import grid_of, mean_under
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.propagation.patches import Patch, Window

_BLUR_PX: Final = 1.2
_RING: Final = 0.25
"""Width of the ring around an object, in square roots of its area..."""
_RING_PX: Final = (2.0, 8.0)
"""...and its limits, in pixels of the grid."""
_LEAST_EDGE: Final = 0.6
"""Of the gradient at the start, or of what is left of it where gray values fade."""
_IS_TOLD_BY_GRAY: Final = 0.3
"""How well gray values must tell the inside from the ring for contrast to count."""
_LEAST_CONTRAST: Final = 0.3
_LEAST_SPREAD: Final = 0.4
"""Of the difference of gray at the start: where the image is clean, the pixels that a mask has too
much or too little would decide alone how much its gray values spread."""
_LEAST_IOU: Final = 0.5
_LEAST_LIKENESS: Final = 0.4


@dataclass(frozen=True, eq=False)
class Evidence:
    """Measures of an object on one slice.

    Parameters
    ----------
    edge : float
        Mean length of the gray gradient on its border.
    difference : float
        Of the mean gray value inside from that of the ring around it.
    spread : float
        The standard deviations of the gray values of both, summed.
    separation : float
        0 to 0.5: how well gray values tell inside from ring (area under the curve, less a half).
    feature : ndarray, optional
        (C,) float32 of length 1: the mean of the image embedding inside, less that of the tile.
        None without an embedding.
    """

    edge: float
    difference: float
    spread: float
    separation: float
    feature: NDArray[np.float32] | None

    @classmethod
    def of(
        cls, crop: MaskCrop, plane: ImagePlane, embedded: EmbeddedTile | None = None
    ) -> Evidence:
        """Measure a mask that is not empty.

        Without the embedding that a model drew it by, as between annotated slices, it may miss the
        edges of the image by a pixel.
        """
        margin = 2 * _RING_PX[1] * Window.around(crop, 0, plane.shape).step
        patch = Patch.read(plane, Window.around(crop, margin, plane.shape))
        mask = patch.mask(crop)
        feature = None if embedded is None else _feature(crop, embedded)
        if not mask.any():
            return cls(0, 0, 0, 0, feature)
        gradient = ndimage.gaussian_gradient_magnitude(patch.gray, _BLUR_PX, mode="nearest")
        if embedded is None:
            gradient = ndimage.maximum_filter(gradient, 3)
        border = mask & ~ndimage.binary_erosion(mask)
        width = np.clip(_RING * np.sqrt(np.count_nonzero(mask)), *_RING_PX)
        ring = ~mask & (ndimage.distance_transform_edt(~mask) <= width)
        inside, around = patch.gray[mask], patch.gray[ring]
        edge = float(gradient[border].mean())
        if not around.size:
            return cls(edge, 0, 0, 0, feature)
        difference, spread = inside.mean() - around.mean(), inside.std() + around.std()
        return cls(edge, float(difference), float(spread), _separation(inside, around), feature)

    def _contrast(self, least_spread: float) -> float:
        """Return the difference in standard deviations, which count as no less than that."""
        return self.difference / max(self.spread, least_spread, 1e-3)

    def confidence(self, start: Evidence, iou: float = 1.0) -> float:
        """Return how surely it is the object of the start, from 0 to 1; it ends below 0.5.

        `iou` is the overlap with where the object was expected.
        """
        edge = _ratio(self.edge, start.edge) / _LEAST_EDGE
        if start.separation > _IS_TOLD_BY_GRAY:
            # At a pole, an object fades with its border: the contrast tells how far.
            faded = float(np.clip(_ratio(self.difference, start.difference), 1e-3, 1))
            least = _LEAST_SPREAD * abs(start.difference)
            contrast = _ratio(self._contrast(least), start._contrast(least))
            ratios = [edge / faded, contrast / _LEAST_CONTRAST]
        else:
            ratios = [edge, iou / _LEAST_IOU]
            if self.feature is not None and start.feature is not None:
                ratios.append(float(self.feature @ start.feature) / _LEAST_LIKENESS)
        return float(np.clip(min(ratios) / 2, 0, 1))

    def confidence_at_walls(self, start: Evidence, iou: float) -> float:
        """Return the same of an object that others are like, with walls between.

        `iou` is also the overlap with the object on the slice before: it does not jump.
        """
        ratios = _ratio(self.edge, start.edge) / _LEAST_EDGE, iou / _LEAST_IOU
        return float(np.clip(min(ratios) / 2, 0, 1))


def _ratio(value: float, start: float) -> float:
    return value / start if abs(start) > 1e-6 else 1.0


def _separation(inside: NDArray[np.float32], around: NDArray[np.float32]) -> float:
    """Return the distance from a half of the area under the receiver operating curve."""
    ranks = scipy.stats.rankdata(np.concatenate([inside, around]))[: inside.size]
    statistic = float(ranks.sum()) - inside.size * (inside.size + 1) / 2
    return abs(statistic / (inside.size * around.size) - 0.5)


def _feature(crop: MaskCrop, embedded: EmbeddedTile) -> NDArray[np.float32]:
    """Return the direction of the mean embedding under a mask."""
    grid = grid_of(embedded)
    feature = mean_under(crop, grid, embedded.tile) - grid.mean(axis=(1, 2))
    return np.asarray(feature / max(float(np.linalg.norm(feature)), 1e-6))
