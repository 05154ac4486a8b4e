"""micro-sam's way to carry an object through a stack, on embeddings of this project.

Not a dependency: it runs where the packages micro_sam and segment_anything can be imported.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.masks import MaskCrop
from napari_sam.model.sam.base import SegmentAnything

LEAST_IOU: Final = 0.5
BOX_EXTENSION: Final = 0.05
"""Both as micro-sam's window for volumes has them, unless its user changes them."""

Mask = NDArray[np.bool_]


class MicroSam:
    """micro-sam with the prompt encoder and the mask decoder of a model of this project.

    Parameters
    ----------
    model : SegmentAnything
        A SAM; its own image encoder is not asked.
    embeddings : sequence of ImageEmbedding
        Those of all slices, each of a whole plane.
    """

    def __init__(self, model: SegmentAnything, embeddings: Sequence[ImageEmbedding]) -> None:
        import torch
        from micro_sam.multi_dimensional_segmentation import segment_mask_in_volume
        from segment_anything import SamPredictor, sam_model_registry

        theirs = sam_model_registry["vit_b"]()
        state = model.state_dict()
        weights = {name: part for name, part in state.items() if not _is_of_encoder(name)}
        unmatched = theirs.load_state_dict(weights, strict=False)
        if unmatched.unexpected_keys or not all(map(_is_of_encoder, unmatched.missing_keys)):
            raise ValueError("The model's decoder is not that of a SAM; choose another model.")
        self._predictor, self._segment = SamPredictor(theirs), segment_mask_in_volume
        arrays = [embedding.to_arrays()["image_embedding"] for embedding in embeddings]
        self._embeddings = {
            "features": torch.from_numpy(np.stack(arrays)[:, None].astype(np.float32)),
            "input_size": embeddings[0].input_size,
            "original_size": embeddings[0].original_size,
        }

    def carried(self, annotated: Mapping[int, MaskCrop], mode: str) -> Mask:
        """Return an object carried through the stack from its masks on some slices."""
        shape = self._embeddings["original_size"]
        masks = np.zeros((len(self._embeddings["features"]), *shape), np.uint8)
        for index, crop in annotated.items():
            masks[index] = crop.within(0, 0, shape)
        result, _ = self._segment(
            masks,
            self._predictor,
            self._embeddings,
            np.array(sorted(annotated)),
            stop_lower=False,
            stop_upper=False,
            iou_threshold=LEAST_IOU,
            projection=mode,
            box_extension=BOX_EXTENSION,
        )
        return np.asarray(result > 0)

    def clicked(self, index: int, place_xy: tuple[float, float]) -> tuple[list[Mask], int]:
        """Return the masks of a click on a slice, and which of them micro-sam takes."""
        from micro_sam.util import set_precomputed

        set_precomputed(self._predictor, self._embeddings, i=index)
        place, label = np.array([place_xy]), np.ones(1, np.uint8)
        masks, scores, _ = self._predictor.predict(place, label)
        return list(masks), int(np.argmax(scores))


def modes() -> Sequence[str]:
    """Return the ways in which micro-sam makes prompts of the mask on the slice before."""
    from micro_sam.multi_dimensional_segmentation import PROJECTION_MODES

    names: Any = PROJECTION_MODES
    return tuple(names)


def _is_of_encoder(name: str) -> bool:
    return name.startswith("image_encoder.")
