"""What tells whether an object goes on: its border, its contrast and what the model sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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
    """Measures of an object on one slice; those that few ask for are taken when one does.

    Parameters
    ----------
    edge : float
        Mean length of the gray gradient on its border.
    difference : float
        Of the mean gray value inside from that of the ring around it.
    spread : float
        The standard deviations of the gray values of both, summed.
    inside, around : ndarray
        (n,) float32: the gray values inside, and those of the ring.
    crop : MaskCrop
        The mask.
    embedded : EmbeddedTile, optional
        What a model drew it by, if one did.
    """

    edge: float
    difference: float
    spread: float
    inside: NDArray[np.float32]
    around: NDArray[np.float32]
    crop: MaskCrop
    embedded: EmbeddedTile | None

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
        inside = patch.gray[mask]
        if not inside.size:
            return cls(0, 0, 0, inside, inside, crop, embedded)
        gradient = ndimage.gaussian_gradient_magnitude(patch.gray, _BLUR_PX, mode="nearest")
        if embedded is None:
            gradient = ndimage.maximum_filter(gradient, 3)
        border = mask & ~ndimage.binary_erosion(mask)
        width = np.clip(_RING * np.sqrt(np.count_nonzero(mask)), *_RING_PX)
        ring = ~mask & (ndimage.distance_transform_edt(~mask) <= width)
        around = patch.gray[ring]
        edge = float(gradient[border].mean())
        if not around.size:
            return cls(edge, 0, 0, inside, around, crop, embedded)
        difference = float(inside.mean() - around.mean())
        spread = float(inside.std() + around.std())
        return cls(edge, difference, spread, inside, around, crop, embedded)

    @cached_property
    def separation(self) -> float:
        """How well gray values tell inside from ring, 0 to 0.5: area under the curve, less 0.5."""
        if not self.around.size:
            return 0.0
        n_inside, n_around = self.inside.size, self.around.size
        ranks = scipy.stats.rankdata(np.concatenate([self.inside, self.around]))[:n_inside]
        statistic = float(ranks.sum()) - n_inside * (n_inside + 1) / 2
        return abs(statistic / (n_inside * n_around) - 0.5)

    @cached_property
    def feature(self) -> NDArray[np.float32] | None:
        """The mean embedding inside, less that of the tile: (C,), of length 1; None without one."""
        if self.embedded is None:
            return None
        grid = grid_of(self.embedded)
        feature = mean_under(self.crop, grid, self.embedded.tile) - grid.mean(axis=(1, 2))
        return np.asarray(feature / max(float(np.linalg.norm(feature)), 1e-6))

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
