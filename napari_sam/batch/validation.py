"""How well a model segments labeled objects as a user would prompt them in the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest
from typing import Final

import numpy as np

from napari_sam.batch.labeled import LabeledImage, LabeledPlane
from napari_sam.engine.masks import MaskCrop
from napari_sam.session.decoding.expected import innermost_xy
from napari_sam.session.decoding.segment import segment, whole_crop
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.propagation.meeting import overlap

MAX_OBJECTS: Final = 60
"""Of all images together, as each takes a few tenths of a second."""

MakePrompts = Callable[[MaskCrop], Prompts]
"""Makes the prompts for an object that is known."""


def one_click(mask: MaskCrop) -> Prompts:
    """Return a click where the object is deepest."""
    return Prompts((innermost_xy(mask),), (FOREGROUND,))


def one_box(mask: MaskCrop) -> Prompts:
    """Return the box around the object."""
    return Prompts(box_xyxy=mask.edges_xyxy)


@dataclass(frozen=True, eq=False)
class Validation:
    """Objects that a model is judged by."""

    objects: tuple[tuple[LabeledPlane, MaskCrop], ...]

    @classmethod
    def of(cls, images: Sequence[LabeledImage], seed: int) -> Validation:
        """Choose objects of all images: as many of each, as far as it has them."""
        rng = np.random.default_rng(seed)
        of_images = []
        for image in images:
            pairs = [(plane, mask) for plane in image.planes for mask in plane.objects]
            of_images.append([pairs[number] for number in rng.permutation(len(pairs))])
        in_turn = chain.from_iterable(zip_longest(*of_images))
        return cls(tuple(pair for pair in in_turn if pair is not None)[:MAX_OBJECTS])

    def mean_iou(
        self,
        embedder: Embedder,
        prompts_for: MakePrompts = one_click,
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> float:
        """Return the mean IoU of the masks that the window preselects."""
        ious = []
        for iou in self._ious(embedder, prompts_for):
            ious.append(iou)
            on_progress(len(ious) / len(self.objects))
        return float(np.mean(ious))

    def _ious(self, embedder: Embedder, prompts_for: MakePrompts) -> Iterator[float]:
        spec = embedder.load().encoder.spec
        for labeled, mask in self.objects:
            plane = labeled.plane
            candidates = segment(
                partial(embedder.obtain, plane),
                plane.pyramid(spec),
                prompts_for(mask),
            )
            yield overlap(whole_crop(candidates, candidates.best), mask)
