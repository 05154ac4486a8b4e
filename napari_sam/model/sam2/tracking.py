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
    tokens : FineImageTokens
        Prepared from it as if nothing were remembered.
    prepared : Tensor or None
        (L, C), from `Tracker.prepare`; needed to find objects by what is remembered.
    """

    embedding: Tensor
    tokens: FineImageTokens
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
    image_pe : Tensor
        (L, C) positional encoding of the image tokens, in the precision of the model.
    """

    def __init__(self, model: Sam2, image_pe: Tensor) -> None:
        assert model.config.memory is not None
        self._model, self._image_pe = model, image_pe
        self.memory: MemoryConfig = model.config.memory
        side = model.config.embedding_size
        self._cells = sine_grid(model.config.embed_dim, side).to(image_pe)
        self._memory_cells = sine_grid(self.memory.dim, side).to(image_pe)

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
        tokens = plane.tokens
        if mask_input is not None:
            tokens = self._tokens(plane, plane.embedding, self._model.dense(mask_input))
        return self._decode(tokens, positions)

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
        dense = self._model.prompts.dense(mask_input)
        return self._decode(self._tokens(plane, conditioned, dense), positions)

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
        dense = model.prompts.dense(shrunk.float())
        found = self._decode(self._tokens(plane, plane.embedding, dense), None)
        is_there = bool((mask > 0).any())
        return Found(
            low_res,
            logits[0, 0],
            torch.ones(()),
            torch.tensor(MASK_SCALE * is_there + MASK_BIAS),
            found.pointer if is_there else model.no_obj_ptr[0].to(found.pointer.dtype),
        )

    def _tokens(self, plane: Slice, embedding: Tensor, dense: Tensor) -> FineImageTokens:
        tokens = self._model.prepare_tokens(embedding, dense, self._image_pe)
        fine, finest = plane.tokens.fine, plane.tokens.finest
        return FineImageTokens(**vars(tokens), fine=fine, finest=finest)

    def _decode(self, tokens: FineImageTokens, positions: tuple[Tensor, Tensor] | None) -> Found:
        model = self._model
        if positions is None:
            sparse, count = model.prompts.sparse(None, None, None), 0
        else:
            sparse, count = model.prompts.sparse_uniform(*positions), positions[0].shape[1] - 1
        decoded = model.decoder.decode(
            tokens, self._image_pe, sparse.to(self._image_pe.dtype), count <= MOST_POINTS_FOR_MANY
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
        model, dtype = self._model, self._image_pe.dtype
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
        model, dtype = self._model, self._image_pe.dtype
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
