"""The state of the object in progress, with the masks that its next decode may start from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.spec import Capability, ModelSpec
from napari_sam.session.decoding.candidate import rough_bounds
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.mask_prompts import logits_of_region
from napari_sam.session.decoding.ranking import MaskBefore
from napari_sam.session.decoding.recipe import Recipe
from napari_sam.session.image.tiles import Box, Tile
from napari_sam.session.prompts.prompts import Prompts

_MAX_STEPS: Final = 32
"""Feedback steps kept per object; each holds low-res logits."""


@dataclass(frozen=True, eq=False)
class FeedbackStep:
    """The mask that was chosen for some prompts, at the moment more were added to them."""

    prompts: Prompts
    low_res_logits: NDArray[np.float32]
    tile: Tile
    weights: Path | None = None
    # how the mask was made, if it is none of the model's own
    recipe: Recipe | None = None

    @property
    def published_logits(self) -> NDArray[np.float32]:
        """The logits as the model gave them, wherever a learned mask is cut.

        Where its border was moved, these logits are better than the model's.
        """
        recipe, cut = self.recipe, 0.0
        if recipe is not None and recipe.policy is not None and not recipe.border:
            cut = recipe.policy.cut
        return self.low_res_logits + np.float32(cut) if cut else self.low_res_logits


@dataclass(frozen=True, eq=False)
class ReeditedObject:
    """The accepted object that the object in progress will replace."""

    label_id: int  # 0: none; a new object starts from the region
    uid: int  # that of its record
    accepted: ObjectState | None  # as it was accepted; None for an object from elsewhere
    region: MaskCrop  # its pixels in the plane when it was re-edited
    from_region: bool  # whether the model starts from the region, for want of its own prompts


@dataclass(frozen=True)
class ObjectState:
    """The state of the object in progress; frozen, so that undo can restore it."""

    prompts: Prompts = field(default_factory=Prompts)
    choice: int | None = None  # the candidate that the user chose; None leaves it to the ranking
    choice_box: Box | None = field(default=None, compare=False)  # around the chosen mask
    level: float = 0.0  # of the chosen mask, -1 to 1: smaller or larger than published
    # masks chosen for earlier prompts of the object, which the next decode may start from
    feedback: tuple[FeedbackStep, ...] = ()
    # the part of the image on which it is decoded; None until that is decided
    tile: Tile | None = None
    # whether the tile was replaced by a coarser one, which does not cut the mask off
    is_raised: bool = False
    reedited: ReeditedObject | None = None
    # its masks on other slices, one of which is expected in an outline
    shapes: tuple[MaskCrop, ...] = field(default=(), compare=False)
    # how the chosen mask is made, if it is none of the model's own
    recipe: Recipe | None = None

    def with_prompts(self, prompts: Prompts, shown: tuple[Candidates, int] | None) -> ObjectState:
        """Return the object with other prompts; the shown mask becomes feedback if they extend."""
        feedback, tile = self.feedback, self.tile
        if shown is not None and prompts.extends(shown[0].prompts):
            candidates, mask = shown[0], shown[0].masks[shown[1]]
            recipe = candidates.recipe_of(shown[1])
            about = mask.logits.copy(), mask.tile, mask.weights, recipe
            step = FeedbackStep(candidates.prompts, *about)
            kept = tuple(s for s in feedback if s.prompts != step.prompts)
            feedback = (*kept, step)[-_MAX_STEPS:]
            if candidates.tile == tile:  # and not one that serves until that tile is embedded
                tile = mask.tile
        return replace(
            self,
            prompts=prompts,
            choice_box=None,
            level=0,
            feedback=feedback,
            tile=tile,
            recipe=None,
        )

    def with_choice(self, choice: int, box: Box | None = None, level: float = 0) -> ObjectState:
        """Return the object with another candidate chosen, the box around it, and its level."""
        return replace(self, choice=choice, choice_box=box, level=level, recipe=None)

    def with_mask(
        self, candidates: Candidates, index: int, box: Box | None = None, level: float = 0
    ) -> ObjectState:
        """Return the object with a candidate chosen, which can be made again, whatever is learned.

        That is why a learned mask takes its tile along.
        """
        chosen, recipe = self.with_choice(index, box, level), candidates.recipe_of(index)
        if recipe is None:
            return chosen
        return replace(chosen, recipe=recipe, tile=candidates.masks[index].tile)

    def as_accepted(self, candidates: Candidates, index: int) -> ObjectState:
        """Return the object as it is kept once one of its candidates is accepted."""
        return replace(self.with_mask(candidates, index, level=self.level), reedited=None)

    def as_shown(self, candidates: Candidates | None) -> ObjectState:
        """Return the object with the mask chosen that is shown, if these are its masks."""
        if candidates is None or candidates.prompts != self.prompts:
            return self
        chosen = candidates.chosen(self.choice)
        return self.with_mask(candidates, chosen, candidates.bounds_xyxy(chosen), self.level)

    @property
    def steps(self) -> tuple[ObjectState, ...]:
        """The object as it may have come about, one prompt after the other; itself the last one.

        A re-edited object begins with the prompts that it was accepted with.
        """
        accepted = None if self.reedited is None else self.reedited.accepted
        start = Prompts() if accepted is None else accepted.prompts
        earlier = (
            replace(
                *(self,),
                prompts=prompts,
                choice=None,
                choice_box=None,
                level=0,
                feedback=(),
                recipe=None,
            )
            for prompts in self.prompts.steps
            if prompts.extends(start) and prompts != self.prompts
        )
        begun = [] if accepted is None else [replace(accepted, reedited=self.reedited)]
        return (*(state for state in begun if self.prompts.extends(start)), *earlier, self)

    @property
    def wanted_box(self) -> Box | None:
        """The box around the mask that the user chose for the prompts, if known.

        What is pooled depends on the tiles in memory, so the index of a mask may be another one.
        """
        if self.choice_box is not None or self.reedited is None:
            return self.choice_box
        region = self.reedited.region
        return region.edges_xyxy if self._accepted_as_prompted and region.mask.size else None

    def on_slice(self, slice_index: int) -> ObjectState:
        """Return the object with its prompts on another slice: older files do not know it."""
        reedited = self.reedited
        if reedited is not None and reedited.accepted is not None:
            accepted = reedited.accepted.on_slice(slice_index)
            reedited = replace(reedited, accepted=accepted)
        return replace(self, prompts=self.prompts.on_slice(slice_index), reedited=reedited)

    @property
    def corrected_from(self) -> MaskBefore | None:
        """The mask before clicks were added to its prompts: background alone, or others, too."""
        prompts = self.prompts
        extended = [step for step in self.feedback if prompts.adds_clicks_to(step.prompts)]
        excluding = [step for step in extended if prompts.only_exclude_from(step.prompts)]
        steps = excluding or extended
        if not steps:
            return None
        step = _latest(steps)
        logits, box = step.low_res_logits, rough_bounds(step.low_res_logits, step.tile)
        if not step.prompts.has_foreground or box is None:
            return None
        cell_px = step.tile.side / logits.shape[-1]
        return MaskBefore(int(np.count_nonzero(logits > 0)) * cell_px**2, box, bool(excluding))

    @property
    def is_as_accepted(self) -> bool:
        """Whether it is a re-edited object with the very prompts it was accepted with."""
        accepted = self._accepted_as_prompted
        if self.reedited is None or self.reedited.from_region or accepted is None:
            return False
        return (self.choice, self.level) == (accepted.choice, accepted.level)

    @property
    def reedited_choice(self) -> int | None:
        """The candidate that a re-edited object was accepted as, if known; None once corrected."""
        accepted = self._accepted_as_prompted
        return None if accepted is None else accepted.choice

    @property
    def _accepted_as_prompted(self) -> ObjectState | None:
        """A re-edited object as it was accepted, as long as its prompts are the same."""
        accepted = None if self.reedited is None else self.reedited.accepted
        return accepted if accepted is not None and accepted.prompts == self.prompts else None

    def on_tile(self, tile: Tile) -> ObjectState:
        """Return the object to be decoded on this tile."""
        former = self.tile
        is_raised = former is not None and (self.is_raised or tile.level > former.level)
        return replace(self, tile=tile, is_raised=is_raised)

    def mask_prompt(
        self, weights: Path | None, tile: Tile, spec: ModelSpec
    ) -> NDArray[np.float32] | None:
        """Return the logits to decode from: those of the largest part of the prompts.

        Only those that a model with these weights made, as others may be of another size, and
        made on this tile; and not from before an outline was drawn. Without any, the region of a
        re-edited object counts, unless something else was drawn around it.
        """
        if Capability.MASK_PROMPT not in spec.capabilities:
            return None
        outline = self.prompts.outline
        usable = [
            step
            for step in self.feedback
            if (step.weights, step.tile, step.prompts.outline) == (weights, tile, outline)
            and self.prompts.extends(step.prompts)
        ]
        if not usable:
            reedited = self.reedited
            if outline is not None or reedited is None or not reedited.from_region:
                return None
            return logits_of_region(reedited.region, tile, spec.low_res_side)
        return _latest(usable).published_logits

    @property
    def corrected_recipe(self) -> Recipe | None:
        """How the learned mask was made that is corrected; None: there is none."""
        if self.recipe is not None:  # of an object that was accepted with more than a click
            return self.recipe
        steps = [step for step in self.feedback if self.prompts.extends(step.prompts)]
        recipe = next((step.recipe for step in reversed(steps) if step.recipe is not None), None)
        if recipe is None or not recipe.border or steps[-1].recipe is not None:
            return recipe
        # The last mask is one of the model's, whose border was not moved.
        return None if recipe.policy is None else recipe._replace(border=())


def _latest(steps: list[FeedbackStep]) -> FeedbackStep:
    """Return the step with the most prompts; of equals the later one, as max keeps the first."""
    return max(reversed(steps), key=lambda step: step.prompts.size)
