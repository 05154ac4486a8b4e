"""Decode prompts on a tile, in one or two steps: the model's own masks, then all that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.decoding.candidates import Candidates, decode
from napari_sam.session.decoding.cut import Cut
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.decoding.learnt_mask import corrected, still_learnt, with_learnt
from napari_sam.session.decoding.outlined_shape import outlined_shape
from napari_sam.session.decoding.pool import (
    continued,
    found_again,
    is_ambiguous,
    is_settled,
    widened,
)
from napari_sam.session.decoding.ranking import NO_CONTEXT, DecodeContext
from napari_sam.session.decoding.recipe import Recipe
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.image.tiles import Box
from napari_sam.session.prompts.prompts import Prompts


@dataclass(frozen=True, eq=False)
class DecodeRequest:
    """Prompts to decode on a tile; all methods are pure, for the decode thread."""

    embedded: EmbeddedTile
    prompts: Prompts
    usable: Prompts  # those of the prompts that can be decoded
    context: DecodeContext = NO_CONTEXT
    mask_prompt: NDArray[np.float32] | None = None
    choice: int | None = None  # the candidate that the user chose
    level: float = 0.0  # of that one; see `ObjectState`
    wanted_box: Box | None = None  # around the mask that the user chose, if known
    before: Candidates | None = None  # the masks of the same prompts on another tile
    multimask: bool = True
    shapes: Sequence[MaskCrop] = ()  # of the object on other slices, for an outline on this one
    learnt_on: EmbeddedTile | None = None  # the tile of what was learned, if it is another one
    corrected_recipe: Recipe | None = None  # of the learned mask that is corrected

    @property
    def _is_single(self) -> bool:
        """Whether a click is all that the model gets, on an image that shows something."""
        is_alone = self.multimask and self.mask_prompt is None
        is_blank = bool(self.embedded.content.uniform_reason)
        return is_alone and not is_blank and is_ambiguous(self.usable)

    @property
    def _learnt(self) -> tuple[Learnt, EmbeddedTile] | None:
        """What was learned for a click, and the tile for that, if it is in memory."""
        learnt, embedded = self.context.learnt, self.learnt_on or self.embedded
        if learnt is None or not self._is_single:
            return None
        policy = learnt.recipe.policy
        is_its_tile = policy is None or embedded.tile.level == policy.level
        return (learnt, embedded) if is_its_tile else None

    @property
    def is_continued(self) -> bool:
        """Whether the prompts have masks already, which go on being shown until all is done.

        Those of several prompts are replaced, unless the user chose one to continue.
        """
        before = self.before
        if before is None or before.prompts != self.prompts or before.tile == self.embedded.tile:
            return False
        return self._is_single or (self.choice is not None and self.choice < len(before))

    def first(self) -> Candidates:
        """Return the model's masks.

        If all of them are larger than the mask from which the user has just excluded something,
        they are decoded again within its box.
        """
        candidates, before = self._decoded(self.usable), self.context.corrected_from
        ranking = candidates.ranking
        if before is not None and before.is_excluding and ranking is not None:
            grew = before.grew(ranking.features.area_px).all()
            if grew and self.usable.box_xyxy is None:
                candidates = self._decoded(replace(self.usable, box_xyxy=before.box_xyxy))
        if self.corrected_recipe is not None and not self._is_single:
            about = self.embedded, self.corrected_recipe, before, self.usable, self.mask_prompt
            candidates = corrected(candidates, *about)
        return self._drawn(candidates)

    def _decoded(self, usable: Prompts) -> Candidates:
        shaped = outlined_shape(self.embedded, self.prompts, usable, self.shapes)
        return shaped or decode(
            self.embedded,
            self.prompts,
            usable,
            self.mask_prompt,
            self.context,
            multimask=self.multimask,
        )

    def is_complete(self, candidates: Candidates) -> bool:
        """Whether the model's masks are all that there is to be shown."""
        if not self._is_single:
            return True
        is_settled_now = self.wanted_box is None and is_settled(candidates, self.context)
        return is_settled_now and self._learnt is None

    def completed(self, candidates: Candidates) -> Candidates:
        """Return the masks to choose from, given the model's."""
        if self._is_single and not is_settled(candidates, self.context):
            click_xy = self.usable.points_xy[0]
            candidates = widened(candidates, self.embedded, click_xy, self.context)
        if self.before is not None and self.is_continued:
            before = self.before.unlearnt if self._is_single else self.before
            candidates = continued(before, candidates, self.choice, self.context)
        elif self._is_single and self.choice is not None and self.wanted_box is not None:
            cut = Cut(self.context.clean_strength, self.level)
            candidates = found_again(candidates, self.choice, self.wanted_box, self.context, cut)
        if self._learnt is not None:
            candidates = self._extended(candidates, *self._learnt)
        return self._drawn(candidates)

    def _extended(
        self, candidates: Candidates, learnt: Learnt, embedded: EmbeddedTile
    ) -> Candidates:
        """Add the learned mask; if the user goes to one of the others, it stays as it was."""
        is_other = self.choice is not None and self.choice < len(candidates)
        if is_other and self.before is not None and self.is_continued:
            kept = still_learnt(candidates, self.before, embedded)
            if kept is not None:
                return kept
        wanted_box = None if is_other else self.wanted_box
        return with_learnt(candidates, embedded, self.usable, learnt, wanted_box)

    def all_at_once(self) -> Candidates:
        """Return the masks to choose from."""
        return self.completed(self.first())

    def _drawn(self, candidates: Candidates) -> Candidates:
        """Compute the pixels of the mask that will be shown."""
        chosen = candidates.chosen(self.choice)
        candidates = candidates.cut(self.context.clean_strength, chosen, self.level)
        candidates.crop(chosen)
        return candidates
