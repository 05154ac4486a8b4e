"""Decode the object in progress on the tile that suits it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from psygnal import Signal

from napari_sam.engine.spec import ModelSpec
from napari_sam.session.background import Background
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.learnt import Learnt
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.decoding.pool import is_ambiguous
from napari_sam.session.decoding.preview import HoverPreview
from napari_sam.session.decoding.ranking import AcceptedExamples, DecodeContext
from napari_sam.session.decoding.recipe import tile_for
from napari_sam.session.decoding.request import DecodeRequest
from napari_sam.session.decoding.tile_choice import initial_tile, refined_tile
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.embedding.embeddings import EmbeddedTile, Embedder
from napari_sam.session.image.tiles import Box, Tile, TilePyramid
from napari_sam.session.jobs import user_message
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts

_LEAST_DRAG: Final = 1 / 200
"""Share of what is in sight that a box must span while it is dragged, at least."""
_LEAST_DRAG_PX: Final = 3


class Refinement(Enum):
    """What is done for better masks than the shown ones."""

    EMBEDDING = auto()
    DECODING = auto()


@dataclass(frozen=True)
class DecodeOptions:
    """What the user chose for all objects."""

    # whether a decode starts from the mask chosen before the last click of the object
    use_feedback: bool = True
    clean_strength: float = 0.0  # of outlines, 0 to 1; 0 shows masks as published


class Decoding:
    """Decodes the object in progress; `ObjectInProgress` alone changes it.

    On a large image it chooses the tile to embed. While a finer one is on its way, a coarser one
    in memory serves, and the object is decoded again when the finer one is ready.

    All methods belong to the owner's thread.
    """

    changed = Signal()
    """The masks or the preview changed."""
    moved = Signal(ObjectState, ObjectState)
    """The object before and after it went to another tile, which is not a step to undo."""
    completed = Signal()
    """The masks of the newest prompts are ready, on the right tile."""
    failed = Signal(object)
    """A decode raised this exception."""

    def __init__(
        self,
        embedding: CurrentEmbedding,
        background: Background,
        accepted_examples: Callable[[], AcceptedExamples],
        learnt: Callable[[], Learnt | None] = lambda: None,
    ) -> None:
        self._embedding, self._accepted_examples = embedding, accepted_examples
        self._learnt = learnt
        self._notifier = background.notifier
        embedding.model_loaded.connect(self._warm_up)
        self._executor = background.executor("decode", is_instant=True)
        self._pyramid = TilePyramid((1, 1), embedding.embedder.spec)  # none yet
        about = lambda: self.context, lambda *click: _learnt_tile(self._pyramid, embedding, *click)
        self.preview = HoverPreview(self._executor, self.changed.emit, *about)
        self.in_sight: Tile = self._pyramid.whole
        """The tile of the visible region."""
        self._view: Box | None = None  # the visible region, unless it is the whole plane
        self.last_tile: Tile | None = None
        """That of the last object: the next one is probably near, and similar."""
        self.state = ObjectState()
        self.candidates: Candidates | None = None
        self._slip: Box | None = None  # the box of a click without a drag
        self.options = DecodeOptions()
        """How the object is decoded."""

    @property
    def is_pending(self) -> bool:
        """Whether masks of newer prompts, or better ones, are on their way."""
        if not self.state.prompts.has_foreground:
            return False  # the executor computes a preview
        if self._embedding.embedded is None:  # or warms up
            return self.candidates is not None and self._embedding.is_working
        return self._executor.expects_result

    @property
    def refinement(self) -> Refinement | None:
        """What is done while masks of all prompts are shown, but better ones are on their way."""
        shown = self.candidates
        if shown is None or shown.prompts != self.state.prompts or not self.is_pending:
            return None
        is_decoding = self._executor.expects_result
        return Refinement.DECODING if is_decoding else Refinement.EMBEDDING

    @property
    def shown(self) -> tuple[Candidates, int] | None:
        """The candidates and the index of the shown one."""
        candidates = self.candidates
        return None if candidates is None else (candidates, candidates.chosen(self.state.choice))

    # The tile -------------------------------------------------------------------------------

    def set_plane(self, pyramid: TilePyramid | None, view: Box | None) -> Tile | None:
        """Go to another plane with its tiles, or to none; return the tile to embed first."""
        self.preview.want(None)
        self.preview.allow(None)
        tile = self.replan(pyramid or TilePyramid((1, 1), self.spec), view)
        return None if pyramid is None else tile

    @property
    def spec(self) -> ModelSpec:
        """The sizes that the tiles of the plane are planned with."""
        return self._pyramid.spec

    def replan(self, pyramid: TilePyramid, view: Box | None) -> Tile:
        """Use other tiles of the same plane; return the tile to embed first."""
        self._pyramid, self.last_tile = pyramid, None
        self._view = pyramid.partial_view(view)
        self.in_sight = pyramid.in_sight(view)
        return self.in_sight

    def look_at(self, view: Box) -> None:
        """Follow the visible region of the plane."""
        self._view = self._pyramid.partial_view(view)
        in_sight = self._pyramid.in_sight(view)
        if in_sight != self.in_sight:
            self.in_sight = in_sight
            self.request()

    @property
    def likely_tiles(self) -> list[Tile]:
        """The tiles of the plane that will probably be needed, the likeliest first."""
        near = [] if self.last_tile is None else self._pyramid.neighbors(self.last_tile)
        finer = [] if self._view is None else self._pyramid.finer(self.in_sight, self._view)
        return list(dict.fromkeys((self.in_sight, *self._pyramid.always_useful, *finer, *near)))

    @property
    def context(self) -> DecodeContext:
        """What candidates are ranked by now."""
        recipe = self.state.recipe
        return DecodeContext(
            self._accepted_examples(),
            self._view,
            self.options.clean_strength,
            self.state.corrected_from,
            # An object that was made with a recipe is made with it again.
            self._learnt() if recipe is None else Learnt(recipe, 0, is_fixed=True),
        )

    def usable(self, prompts: Prompts) -> tuple[Prompts, tuple[str, ...]]:
        """Return the prompts that can be decoded, and remarks on the others."""
        usable, remarks = prompts.within(self._pyramid.shape)
        if usable.box_xyxy is not None and prompts.box_xyxy == self._slip:
            usable = replace(usable, box_xyxy=None, outline=None)
            remarks += ("The shape is too small: draw it around the object, or zoom in first.",)
        return usable, remarks

    # The object -------------------------------------------------------------------------------

    def _warm_up(self, embedder: Embedder) -> None:
        """Make the first decode as fast as later ones."""
        self._executor.submit(
            lambda _: embedder.load().decoder.warm_up(),
            lambda _: None,
            lambda error: self._notifier.warn(user_message(error, "Masks will take longer")),
        )

    def forget_masks(self) -> None:
        """Drop the masks of another model."""
        self._executor.cancel()
        self.candidates = None
        self.preview.allow(None)

    def set_state(self, new: ObjectState, *, is_dragged: bool = False) -> None:
        """Decode another state of the object."""
        box = new.prompts.box_xyxy
        if is_dragged and box != self.state.prompts.box_xyxy:
            least_px = max(_LEAST_DRAG_PX, _LEAST_DRAG * self.in_sight.side)
            is_slip = _is_slip(box, min(least_px, *self._pyramid.shape))
            self._slip = box if is_slip else None
        if not new.prompts.has_foreground:
            self._executor.cancel()
            self.candidates = None
        self.state = new
        if self.candidates is not None and self.candidates.prompts == new.prompts:
            self.candidates = _as_wanted(self.candidates, new, self.options)
        self.request()

    def resume(self, state: ObjectState, candidates: Candidates | None) -> None:
        """Take up a parked object with its masks, which are not decoded again."""
        self.candidates = candidates
        self.set_state(state)

    def choose(self, index: int, level: float = 0) -> ObjectState:
        """Choose a candidate, and the level at which it is cut; return the object before."""
        before, box = self.state, None
        if self.candidates is not None:
            self.candidates = self.candidates.cut(self.options.clean_strength, index, level)
            box = self.candidates.bounds_xyxy(index)
        self.state = before.with_choice(index, box, level)
        return before

    def set_options(self, options: DecodeOptions) -> None:
        """Set `options`; the masks that are shown are cleaned again."""
        self.options = options
        if self.candidates is not None:
            self.candidates = _as_wanted(self.candidates, self.state, options)

    def request(self) -> None:
        """Decode the object unless its masks are ready; allow previews without one."""
        if self._embedding.plane is None:
            return
        prompts, tile, before = self.state.prompts, self.in_sight, self.state.tile
        usable, _ = self.usable(prompts)
        self.preview.allow(self._find if prompts.is_empty else None)
        if usable.has_foreground:
            if before is not None and not self._pyramid.has(before):
                before = None  # planned for a model of other sizes
                self._move(replace(self.state, tile=None, is_raised=False))
            tile = initial_tile(self._pyramid, usable, tile, before, self.last_tile)
            self._move(self.state.on_tile(tile))
            self._decode_on(tile, usable)
        else:
            self._executor.cancel()
            self.candidates = None
        # After the decode, which the user waits for, and which has the processor meanwhile.
        self._embedding.want(tile)

    def _decode_on(self, tile: Tile, usable: Prompts) -> None:
        """Decode the object on a tile, or on another one that is in memory."""
        embedded = self._embedding.find(tile) or self._find(usable)
        if embedded is None:
            return
        prompts, shown = self.state.prompts, self.candidates
        if shown is not None and (shown.prompts, shown.tile) == (prompts, embedded.tile):
            self._executor.cancel()  # the job under way is of prompts that were undone
            return
        mask_prompt = None
        if self.options.use_feedback:
            spec = embedded.decoder.spec
            mask_prompt = self.state.mask_prompt(embedded.weights, embedded.tile, spec)
        context, state = self.context, self.state
        how = context, mask_prompt, state.choice, state.level, state.wanted_box
        learnt_on = _learnt_tile(self._pyramid, self._embedding, usable, context)
        request = DecodeRequest(
            *(embedded, prompts, usable, *how, shown),
            shapes=state.shapes,
            learnt_on=learnt_on,
            corrected_recipe=state.corrected_recipe,
        )
        self._decode(request)

    def _decode(self, request: DecodeRequest) -> None:
        """Show the model's masks as soon as they are there, and then all there are."""

        def on_first(candidates: Candidates) -> None:
            if request.is_complete(candidates):
                self._on_decoded(candidates)
                return
            self._executor.submit(
                lambda _: request.completed(candidates), self._on_decoded, self._on_failed
            )
            self.candidates = _as_wanted(candidates, self.state, self.options)
            self.changed.emit()

        if request.is_continued:
            self._executor.submit(
                lambda _: request.all_at_once(), self._on_decoded, self._on_failed
            )
        else:
            self._executor.submit(lambda _: request.first(), on_first, self._on_failed)

    def _find(self, prompts: Prompts) -> EmbeddedTile | None:
        """Return the best tile in memory for some prompts, which need not be the best of all."""
        plane = self._embedding.plane
        usable, _ = self.usable(prompts)
        if plane is None or not usable.has_foreground:
            return None
        for tile in (self.in_sight, self._pyramid.whole):
            if self._pyramid.holds(tile, usable.bounds_xyxy):
                embedded = self._embedding.embedder.find(plane, tile)
                if embedded is not None:
                    return embedded
        return None

    def _move(self, state: ObjectState) -> None:
        """Go on with the object on another tile, if it is another one."""
        before = self.state
        if state.tile != before.tile:  # else the very object stays, which the history knows
            self.state = state
            self.moved.emit(before, state)

    def improve(self) -> bool:
        """Go to another tile if the shown mask is cut off or tiny; return whether it is."""
        shown, state = self.shown, self.state
        if shown is None or (state.prompts, state.tile) != (shown[0].prompts, shown[0].tile):
            return False
        candidates, chosen = shown
        # Whatever its level: a mask that grows or shrinks under the mouse stays on its tile.
        as_decoded = candidates.cut(self.options.clean_strength, chosen, 0)
        tile = refined_tile(self._pyramid, state, as_decoded, chosen, self.in_sight)
        if tile is None:
            return False
        self._move(state.on_tile(tile))
        self.request()
        return True

    def _on_decoded(self, candidates: Candidates) -> None:
        self.candidates = _as_wanted(candidates, self.state, self.options)
        if not self.improve() and not self.is_pending:
            self.last_tile = candidates.tile
            self.completed.emit()
        self.changed.emit()

    def _on_failed(self, error: BaseException) -> None:
        self.candidates = None  # the shown ones are of other prompts
        self.failed.emit(error)


def _as_wanted(candidates: Candidates, state: ObjectState, options: DecodeOptions) -> Candidates:
    """Return candidates cut as the user wants them by now."""
    return candidates.cut(options.clean_strength, candidates.chosen(state.choice), state.level)


def _learnt_tile(
    pyramid: TilePyramid, embedding: CurrentEmbedding, prompts: Prompts, context: DecodeContext
) -> EmbeddedTile | None:
    """Return the tile in memory for what was learned of a click, if there is one."""
    plane, learnt = embedding.plane, context.learnt
    policy = None if learnt is None or learnt.is_fixed else learnt.recipe.policy
    if plane is None or policy is None or not is_ambiguous(prompts):
        return None
    tile = tile_for(pyramid, prompts.points_xy[0], policy.level)
    return None if tile is None else embedding.embedder.find(plane, tile)


def _is_slip(box: Box | None, least_px: float) -> bool:
    """Whether a box is as small as a click without a drag makes it in napari."""
    return box is not None and min(box[2] - box[0], box[3] - box[1]) < least_px


def remark_on_added(decoding: Decoding, before: Prompts, after: Prompts) -> str:
    """Return why nothing of what was added or changed can be used; empty if some of it can."""
    points_xy = tuple((Counter(after.points_xy) - Counter(before.points_xy)).elements())
    scribbles = tuple((Counter(after.scribbles) - Counter(before.scribbles)).elements())
    area = after.box_xyxy, after.outline
    if area == (before.box_xyxy, before.outline):
        area = None, None
    added = Prompts(points_xy, (FOREGROUND,) * len(points_xy), *area, scribbles)
    usable, remarks = decoding.usable(added)
    if added.is_empty or not usable.is_empty:
        return ""
    if scribbles:
        return "The line lies outside the image: draw it on the image."
    return " ".join(remarks)
