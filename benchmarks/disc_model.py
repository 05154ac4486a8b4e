"""A model that finds bright discs with NumPy alone, with embeddings as large as MobileSAM's.

For what is measured of the session rather than of a model: thousands of slices in minutes.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine.embeddings import ArrayEmbedding
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.protocols import Engine
from napari_sam.engine.spec import ArraySpec, ModelSpec

SIDE: Final = 1024
LOW_RES: Final = 256
SPEC: Final = ModelSpec(SIDE, LOW_RES, (ArraySpec("gray", (16, LOW_RES, LOW_RES)),), 3)
SHARES: Final = (0.35, 0.5, 0.65)
"""Of the brightness at the prompt, from which on a mask is bright."""
LOGIT: Final = 10.0


class DiscEncoder:
    """Keeps what an image looks like on a coarse grid."""

    spec, fingerprint = SPEC, "discs"

    def encode(self, image: NDArray[np.uint8], on_block: Any = None) -> ArrayEmbedding:
        """Return the brightness above that of the surroundings."""
        gray = image.mean(axis=2, dtype=np.float32)
        cells = (np.arange(LOW_RES) + 0.5) * max(gray.shape) / LOW_RES
        rows, columns = (cells.astype(int).clip(0, length - 1) for length in gray.shape)
        grid = ndimage.gaussian_filter(gray[np.ix_(rows, columns)] - np.median(gray), 2)
        stack = np.repeat(grid[None], SPEC.arrays[0].shape[0], axis=0)
        return ArrayEmbedding.from_arrays({"gray": stack}, image.shape[:2], SPEC)


@dataclass
class DiscDecoder:
    """Finds what is bright and connected with a prompt."""

    spec, device = SPEC, "cpu"

    def warm_up(self) -> None:
        """Do nothing."""

    def from_arrays(self, arrays: Any, original_size: tuple[int, int]) -> ArrayEmbedding:
        """Return an embedding as it is."""
        return ArrayEmbedding.from_arrays(arrays, original_size, SPEC)

    def decode(
        self,
        embedding: ArrayEmbedding,
        points_xy: Any = None,
        point_labels: Any = None,
        box_xyxy: Any = None,
        mask_input: Any = None,
        multimask_output: bool = True,
    ) -> MaskPrediction:
        """Return the masks of the first point."""
        grid = embedding.to_arrays()["gray"][0]
        cell_px = max(embedding.original_size) / LOW_RES
        column, row = (np.asarray(points_xy[0]) / cell_px).astype(int).clip(0, LOW_RES - 1)
        masks = []
        for share in SHARES if multimask_output else SHARES[:1]:
            pieces, _ = ndimage.label(grid > share * grid[row, column])
            masks.append(pieces == pieces[row, column])
        logits = np.where(masks, LOGIT, -LOGIT).astype(np.float32)
        scores = np.linspace(0.95, 0.9, len(masks), dtype=np.float32)
        size = embedding.original_size
        return MaskPrediction(logits, scores, size, SPEC.input_size(size), SIDE)

    def decode_batch(self, *_: Any, **__: Any) -> list[MaskPrediction]:
        """Refuse: nothing here has batches."""
        raise NotImplementedError


def load_discs(*_: Any) -> Engine:
    """Return the model, as `AnnotationSession` loads it."""
    return Engine(DiscEncoder(), DiscDecoder())
