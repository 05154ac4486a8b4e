"""A family of models of other sizes than SAM's: it segments bright discs, with NumPy alone.

Its encoder and its decoder are two objects that share nothing but arrays.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_sam.engine.embeddings import ArrayEmbedding, check_arrays
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.spec import ArraySpec, Capability, ModelSpec

TOY_SPEC = ModelSpec(
    input_side=512,
    low_res_side=128,
    arrays=(ArraySpec("fine", (1, 128, 128)), ArraySpec("coarse", (2, 32, 32))),
    candidate_count=4,
    capabilities=frozenset({Capability.MASK_PROMPT}),
)
THRESHOLDS = (0.5, 0.35, 0.65, 0.2)
"""Of the candidates, as shares of the brightness at the prompt."""
LOGIT = 10.0


class ToyEncoder:
    spec = TOY_SPEC
    fingerprint = "toy"

    def __init__(self) -> None:
        self.encoded: list[tuple[int, ...]] = []

    def encode(self, image, on_block=None) -> ArrayEmbedding:
        self.encoded.append(image.shape)
        height, width = TOY_SPEC.input_size(image.shape[:2])
        square = np.zeros((TOY_SPEC.input_side,) * 2, np.float32)
        resized = Image.fromarray(image).convert("L").resize((width, height), Image.Resampling.BOX)
        square[:height, :width] = resized
        if on_block is not None:
            on_block(1, 1)
        fine, coarse = (_means(square, 4), _means(square, 16))
        arrays = {"fine": fine[None], "coarse": np.stack([coarse, np.full_like(coarse, 7)])}
        return ArrayEmbedding.from_arrays(arrays, image.shape[:2], TOY_SPEC)


def _means(square: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    side = len(square) // factor
    return square.reshape(side, factor, side, factor).mean(axis=(1, 3))


@dataclass(frozen=True, eq=False)
class ToyPrepared:
    """What the decoder makes of an embedding: brightness above that of the surroundings."""

    brightness: NDArray[np.float32]
    original_size: tuple[int, int]
    nbytes: int = 4 * 128 * 128

    def to_arrays(self):
        raise AssertionError("the encoder's arrays are what is stored")


class ToyDecoder:
    spec = TOY_SPEC
    device = "toy"

    def __init__(self) -> None:
        self.prompts: list[dict] = []

    def warm_up(self) -> None:
        pass

    def from_arrays(self, arrays, original_size) -> ToyPrepared:
        check_arrays(arrays, TOY_SPEC)
        (fine,), (coarse, marker) = arrays["fine"], arrays["coarse"]
        assert (marker == 7).all()
        return ToyPrepared(fine - np.median(coarse[coarse > 0]), original_size)

    def decode(
        self,
        embedding,
        points_xy=None,
        point_labels=None,
        box_xyxy=None,
        mask_input=None,
        multimask_output=True,
    ) -> MaskPrediction:
        self.prompts.append({"points_xy": points_xy, "box_xyxy": box_xyxy, "mask": mask_input})
        cell = max(embedding.original_size) / TOY_SPEC.low_res_side
        places = [] if points_xy is None else np.asarray(points_xy, float)
        labels = [] if point_labels is None else np.asarray(point_labels)
        seeds = [(y, x) for (x, y), label in zip(places, labels, strict=True) if label == 1]
        if not seeds and box_xyxy is not None:
            x0, y0, x1, y1 = box_xyxy
            seeds = [((y0 + y1) / 2, (x0 + x1) / 2)]
        if not seeds and mask_input is not None:
            assert np.shape(mask_input) == (128, 128)
            seeds = [(np.argwhere(np.asarray(mask_input) > 0).mean(axis=0) + 0.5) * cell - 0.5]
        cells = [tuple(((np.array(seed) + 0.5) / cell).astype(int).clip(0, 127)) for seed in seeds]
        value = np.mean([embedding.brightness[place] for place in cells])
        thresholds = THRESHOLDS if multimask_output else THRESHOLDS[:1]
        masks = [_around(embedding.brightness > share * value, cells) for share in thresholds]
        scores = np.linspace(0.95, 0.9, len(masks), dtype=np.float32)
        logits = np.where(masks, LOGIT, -LOGIT).astype(np.float32)
        input_size = TOY_SPEC.input_size(embedding.original_size)
        return MaskPrediction(logits, scores, embedding.original_size, input_size, 512)

    def decode_batch(
        self,
        embedding,
        points_xy=None,
        point_labels=None,
        boxes_xyxy=None,
        multimask_output=True,
    ) -> list[MaskPrediction]:
        count = len(boxes_xyxy if points_xy is None else points_xy)
        return [
            self.decode(
                embedding,
                None if points_xy is None else points_xy[n],
                None if point_labels is None else point_labels[n],
                None if boxes_xyxy is None else boxes_xyxy[n],
                multimask_output=multimask_output,
            )
            for n in range(count)
        ]


def _around(bright: NDArray[np.bool_], cells) -> NDArray[np.bool_]:
    """Return the connected bright cells that seeds lie in."""
    parts, _ = ndimage.label(bright)
    return np.isin(parts, [parts[place] for place in cells if parts[place]])
