"""An object in one slice after the other: what the networks do for that.

Source: N. Ravi et al., "SAM 2: Segment Anything in Images and Videos" (ICLR 2025,
arXiv:2408.00714), section 4 and appendix D.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from napari_sam.model.sam.base import prepare_tokens
from napari_sam.model.sam.factored import FactoredTransformer
from napari_sam.model.sam.mask_decoder import FinerMaps
from napari_sam.model.sam2.config import MemoryConfig
from napari_sam.model.sam2.mask_decoder import FineImageTokens
from napari_sam.model.sam2.memory import Recalled, Remembered
from napari_sam.model.sam2.memory_attention import sine_ages, sine_grid
from napari_sam.model.sam2.sam2 import Sam2

NO_OBJECT: Final = -1024.0
"""The logits where there is no object."""
MASK_SCALE, MASK_BIAS = 20.0, -10.0
"""What masks are multiplied with, and what is added, before they are remembered."""
POSITION_SHARE = 0.1
"""Weight of the positions that are added to the image before it looks at memories."""
KEPT = torch.bfloat16
"""The precision of memories, as published: they take half the space, whatever computes them."""
MOST_POINTS_FOR_MANY = 1
"""Up to so many points, three masks are decoded and the best is taken."""


@dataclass(frozen=True)
class Slice:
    """A slice as the decoder needs it, whatever object is looked for.

    Attributes
    ----------
    embedding : Tensor
        (C, e, e) image embedding.
    finer : tuple of Tensor
        (4 L, C / 4) and (16 L, C / 8), the finer maps as `FineImageTokens` has them.
    prepared : Tensor or None
        (L, C), from `Tracker.prepare`; needed to find objects by what is remembered.
    """

    embedding: Tensor
    finer: FinerMaps
    prepared: Tensor | None = None


@dataclass(frozen=True)
class Found:
    """The mask of an object in a slice, and what is needed to remember it.

    Attributes
    ----------
    low_res_logits : Tensor
        (4 e, 4 e).
    full_logits : Tensor
        (S, S).
    score, object_logit : Tensor
        Scalars: the predicted quality of the mask, and, if positive, that there is an object.
    pointer : Tensor
        (C,), the object as a single vector.
    """

    low_res_logits: Tensor
    full_logits: Tensor
    score: Tensor
    object_logit: Tensor
    pointer: Tensor


class Tracker:
    """Runs the networks of a model of SAM 2 on one object in one slice.

    Parameters
    ----------
    model : Sam2
        With what sequences need.
    factored : FactoredTransformer
        Of the model, in its precision.
    """

    def __init__(self, model: Sam2, factored: FactoredTransformer) -> None:
        assert model.config.memory is not None
        self._model, self._factored = model, factored
        self.memory: MemoryConfig = model.config.memory
        side = model.config.embedding_size
        like = factored.folded.gain
        self._cells = sine_grid(model.config.embed_dim, side).to(like)
        self._memory_cells = sine_grid(self.memory.dim, side).to(like)

    def prepare(self, plane: Slice) -> Slice:
        """Do the work that all objects share that are found by what is remembered."""
        image = plane.embedding.flatten(1).T + POSITION_SHARE * self._cells
        return replace(plane, prepared=self._model.memory_attention.prepare(image))

    # Finding ---------------------------------------------------------------------------------

    def find(
        self, plane: Slice, positions: tuple[Tensor, Tensor] | None, mask_input: Tensor | None
    ) -> Found:
        """Find an object by a prompt, as in an image on its own.

        `positions` are points and box corners (1, n, 2) with their kinds (1, n), and `mask_input`
        is (1, 1, 4 e, 4 e) logits.
        """
        model = self._model
        dense = model.prompts.dense(None) + model.dense_offset
        return self._decode(self._tokens(plane, plane.embedding, dense, mask_input), positions)

    def find_again(
        self,
        plane: Slice,
        recalled: Recalled,
        longest: int,
        positions: tuple[Tensor, Tensor] | None = None,
        mask_input: Tensor | None = None,
    ) -> Found:
        """Find an object by what is remembered of it, and a prompt, if there is one."""
        conditioned = self._conditioned(plane, recalled, longest)
        dense = self._model.prompts.dense(None)
        return self._decode(self._tokens(plane, conditioned, dense, mask_input), positions)

    def take(self, plane: Slice, mask: Tensor) -> Found:
        """Take a mask, (S, S) of zeros and ones, for the object as it is."""
        full = mask.float()[None, None]
        logits = full * MASK_SCALE + MASK_BIAS
        side = self._model.prompts.mask_input_size
        low_res = _resized(logits, side, antialias=True)[0, 0]
        model = self._model
        shrunk = F.conv2d(
            full.to(model.mask_downsample.weight.dtype),
            model.mask_downsample.weight,
            model.mask_downsample.bias,
            stride=model.mask_downsample.stride,
        )
        dense = model.prompts.dense(None)
        found = self._decode(self._tokens(plane, plane.embedding, dense, shrunk.float()), None)
        is_there = bool((mask > 0).any())
        return Found(
            low_res,
            logits[0, 0],
            torch.ones(()),
            torch.tensor(MASK_SCALE * is_there + MASK_BIAS),
            found.pointer if is_there else model.no_obj_ptr[0].to(found.pointer.dtype),
        )

    def _tokens(
        self, plane: Slice, embedding: Tensor, dense: Tensor, mask_input: Tensor | None
    ) -> FineImageTokens:
        tokens = prepare_tokens(embedding, dense, self._factored)
        if mask_input is not None:
            columns = self._model.prompts.mask_columns(mask_input).to(self._factored.dtype)
            tokens = replace(tokens, columns=columns)
        return FineImageTokens(**vars(tokens), fine=plane.finer[0], finest=plane.finer[1])

    def _decode(self, tokens: FineImageTokens, positions: tuple[Tensor, Tensor] | None) -> Found:
        model = self._model
        if positions is None:
            sparse, count = model.prompts.sparse(None, None, None), 0
        else:
            sparse, count = model.prompts.sparse_uniform(*positions), positions[0].shape[1] - 1
        decoded = model.decoder.decode(
            self._factored,
            tokens,
            sparse.to(self._factored.dtype),
            count <= MOST_POINTS_FOR_MANY,
        )
        best = int(decoded.iou_predictions[0].argmax())
        object_logit = decoded.object_logits[0, 0].float()
        low_res = decoded.low_res_logits[0, best].float()
        pointer = model.obj_ptr_proj(decoded.mask_tokens[0, best])
        if object_logit <= 0:
            low_res = torch.full_like(low_res, NO_OBJECT)
            pointer = model.no_obj_ptr[0].to(pointer.dtype)
        full = _resized(low_res[None, None], model.image_size)[0, 0]
        return Found(low_res, full, decoded.iou_predictions[0, best], object_logit, pointer)

    # Remembering -----------------------------------------------------------------------------

    def remember(self, plane: Slice, found: Found, *, is_prompted: bool) -> Remembered:
        """Remember an object in a slice; a mask that was prompted is one without doubt."""
        full = found.full_logits
        mask = (full > 0).float() if is_prompted else torch.sigmoid(full)
        model, dtype = self._model, self._factored.dtype
        scaled = (mask * MASK_SCALE + MASK_BIAS).to(dtype)
        rows = model.memory_encoder(plane.embedding, scaled[None, None])[0]
        object_logit = float(found.object_logit)
        if object_logit <= 0:
            rows = rows + model.no_obj_embed_spatial.to(dtype)
        rows = rows.to(KEPT)
        score = float(found.score)
        return Remembered(found.low_res_logits, score, object_logit, found.pointer, rows)

    def _conditioned(self, plane: Slice, recalled: Recalled, longest: int) -> Tensor:
        """Condition the image embedding of a slice, (C, e, e), on what is recalled."""
        model, dtype = self._model, self._factored.dtype
        prepared = plane.prepared if plane.prepared is not None else self.prepare(plane).prepared
        ages = model.maskmem_tpos_enc[:, 0, 0].to(dtype)
        rows = [part.to(dtype) for _, part in recalled.slices]
        # Conditioning slices have the encoding of the last slot, however old they are.
        positions = [self._memory_cells + ages[slot - 1] for slot, _ in recalled.slices]
        pointer_rows = 0
        if recalled.pointers:
            pointers = torch.stack([pointer for _, pointer in recalled.pointers])
            splits = pointers.shape[1] // self.memory.dim
            when = torch.tensor([float(age) for age, _ in recalled.pointers], device=rows[0].device)
            waves = sine_ages(when / max(longest - 1, 1), pointers.shape[1]).to(dtype)
            rows.append(pointers.reshape(-1, self.memory.dim))
            positions.append(model.obj_ptr_tpos_proj(waves).repeat_interleave(splits, dim=0))
            pointer_rows = len(rows[-1])
        tokens = model.memory_attention(
            prepared, torch.cat(rows), torch.cat(positions), pointer_rows
        )
        conditioned: Tensor = tokens.T.reshape(plane.embedding.shape)
        return conditioned


def _resized(images: Tensor, side: int, *, antialias: bool = False) -> Tensor:
    """Resize (B, 1, h, w) bilinearly to a square."""
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=antialias)
