"""The review of automatic masks: accepted all at once, or accepted and rejected one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_sam.engine.masks import MaskCrop
from napari_sam.session.automatic.accepted import AcceptedMasks
from napari_sam.session.automatic.generator import AutomaticMaskGenerator
from napari_sam.session.automatic.masks import AutomaticMask, MaskKey, doubles_of
from napari_sam.session.automatic.picture import AutomaticPicture
from napari_sam.session.automatic.request import AutomaticRequest
from napari_sam.session.automatic.writing import MaskWriter
from napari_sam.session.background import Background
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import registry_of
from napari_sam.session.objects.records import ObjectRegistry, score_of


@dataclass(frozen=True, eq=False)
class _Rejection:
    """A mask that was rejected, the last edit before it, and masks that were still written."""

    mask: AutomaticMask
    edit: Edit | None = None
    pending: frozenset[MaskKey] = frozenset()


@dataclass(frozen=True, eq=False)
class _Offer:
    """The masks that may be accepted, and those of them that one look at all is enough for."""

    masks: tuple[AutomaticMask, ...] = ()
    plain: tuple[AutomaticMask, ...] = ()  # others are of objects of which a mask was rejected

    @classmethod
    def of(cls, picture: AutomaticPicture | None, *rejected: AutomaticMask) -> _Offer:
        """Return what a picture shows, after some masks were rejected."""
        if picture is None:
            return cls()
        doubles = doubles_of(picture.masks, rejected)
        return cls(picture.masks, tuple(mask for mask in picture.masks if mask.key not in doubles))


@dataclass(eq=False)
class _Decisions:
    """What was decided about the masks of a run."""

    rejections: list[_Rejection] = field(default_factory=list)  # the last one comes last
    accepted: AcceptedMasks = field(default_factory=AcceptedMasks)


class AutomaticReview:
    """Writes automatic masks as objects; the generator no longer offers those that are done.

    A mask is done when it was rejected, and as long as the target has the object that was made
    from it, whatever that has become, so that undo brings the mask back. One that was refused,
    because other objects cover it, is done as long as these stay as they are. All methods belong to
    the owner's thread.
    """

    changed = Signal()
    """Other masks are on offer, another one is shown alone, or their plane is shown or left."""
    mask_rejected = Signal(AutomaticMask)
    """A mask was rejected."""

    def __init__(
        self, generator: AutomaticMaskGenerator, editing: Editing, background: Background
    ) -> None:
        self._generator, self._editing = generator, editing
        self._notifier = background.notifier
        self._decisions: WeakKeyDictionary[AutomaticRequest, _Decisions] = WeakKeyDictionary()
        self._of_run = _Decisions()
        self._current_key: MaskKey | None = None
        # What was accepted alone: if it is undone, the review goes back to it.
        self._accepted_alone: set[MaskKey] = set()
        self._returning: MaskKey | None = None
        self._registry: ObjectRegistry | None = None
        self._is_here = False
        self._offer_of = lru_cache(1)(_Offer.of)
        self.writer = MaskWriter(editing, background)
        """Writes accepted masks into the target."""
        generator.picture_changed.connect(self._on_picture_changed)
        generator.run_changed.connect(self._follow_run)
        self.writer.changed.connect(self._update)
        editing.overlap_changed.connect(self._update)

    def close(self) -> None:
        """Let the target go."""
        self._follow(None)

    def _follow_run(self) -> None:
        """Go on to the masks of another run; what was accepted of this one is still written."""
        request, decisions = self._generator.request, _Decisions()
        if request is not None:
            decisions = self._decisions.setdefault(request, decisions)
        # Since then there may have been other edits, which are undone first.
        decisions.rejections[:] = [_Rejection(one.mask) for one in decisions.rejections]
        self._of_run = decisions
        self.writer.follow(decisions.accepted)
        self._current_key = self._returning = None
        self._accepted_alone.clear()
        self._update()

    def _on_picture_changed(self) -> None:
        if any(mask.key == self._returning for mask in self._offered.masks):
            self._current_key, self._returning = self._returning, None
        self.changed.emit()

    def set_here(self, is_here: bool) -> None:
        """Set whether the masks lie on the plane that is annotated."""
        if is_here != self._is_here:
            self._is_here = is_here
            self.changed.emit()

    # One by one ----------------------------------------------------------------------------

    @property
    def _offered(self) -> _Offer:
        rejected = (rejection.mask for rejection in self._of_run.rejections)
        return self._offer_of(self._generator.picture, *rejected)

    @property
    def rejected(self) -> set[MaskKey]:
        """The masks of the run that were rejected."""
        return {rejection.mask.key for rejection in self._of_run.rejections}

    @property
    def current(self) -> AutomaticMask | None:
        """The mask that is shown alone."""
        masks = self._offered.masks
        return next((mask for mask in masks if mask.key == self._current_key), None)

    @property
    def summary(self) -> str:
        """Which mask is shown alone; empty if none is."""
        current = self.current
        if current is None:
            return ""
        masks = self._offered.masks
        position = masks.index(current) + 1
        iou = score_of(current.record.predicted_iou)
        text = f"{position} of {len(masks)}: score {iou:.2f}"
        if current.likeness is not None:
            text += f", likeness {current.likeness:.2f}"
        if current.slice_index is None:
            return text
        columns = current.columns
        first, last, weakest = (columns[f"{name}_slice"] for name in ("first", "last", "weakest"))
        return f"{text}, slices {first} to {last}, weakest {weakest} ({columns['confidence']:.2f})"

    @property
    def offer(self) -> str:
        """What accepting does: with the mask that is shown alone, or with all; empty: nothing."""
        offered, current = self._offered, self.current
        count, total = len(offered.plain), len(offered.masks)
        if total == 0 or not self._is_here:
            return ""
        if current is not None:
            return "Accept this mask"
        if count == 0:
            return "Review 1 mask" if total == 1 else f"Review {total:,} masks"
        if count < total:
            return f"Accept {count:,} of {total:,}"
        return "Accept 1 mask" if count == 1 else f"Accept all {count:,}"

    @property
    def hint(self) -> str:
        """What to do with the mask that is shown alone, or with all; empty if there are none."""
        offered = self._offered
        count = len(offered.masks)
        doubles = count - len(offered.plain)
        if count == 0 or not self._is_here:
            return ""
        if self.current is None and doubles:
            of_all = f"{doubles:,} of {count:,} masks" if count > 1 else "This mask"
            like = "are like rejected ones" if doubles > 1 else "is like a rejected one"
            return f"{of_all} {like}: to look at each, press ▸ in the Automatic tab."
        if self.current is None:
            masks = "automatic mask" if count == 1 else f"{count:,} automatic masks"
            return f"To review the {masks} one by one, press ▸ in the Automatic tab."
        return "Accept or reject this mask to move on to the next one; Show all ends the review."

    def step(self, step: int) -> None:
        """Show the next mask alone, or another one, around the end; at first the best."""
        masks, current = self._offered.masks, self.current
        if not masks:
            return
        index = 0 if step > 0 else -1
        if current is not None:
            index = (masks.index(current) + step) % len(masks)
        self._current_key = masks[index].key
        self.changed.emit()

    def show_all(self) -> None:
        """Show all masks again."""
        self._current_key = self._returning = None
        self._accepted_alone.clear()
        self.changed.emit()

    def accept_current(self) -> None:
        """Write the mask that is shown alone, and show the next."""
        current = self.current
        if current is not None and self.accept([current]):
            self._accepted_alone.add(current.key)
            self._leave(current)

    def reject_current(self) -> None:
        """Leave out the mask that is shown alone, and show the next."""
        current = self.current
        if current is not None:
            last, pending = self._editing.history.last, frozenset(self.writer.pending_keys)
            self._of_run.rejections.append(_Rejection(current, last, pending))
            self.mask_rejected.emit(current)
            self._leave(current)

    def accept_all(self) -> None:
        """Write all masks on offer, in one step.

        Those that are of the same objects as rejected ones stay on offer: without any others, they
        are shown one by one.
        """
        plain = self._offered.plain
        self.show_all()
        if plain:
            self.accept(plain)
        else:
            self.step(1)

    @property
    def is_rejected_last(self) -> bool:
        """Whether a mask was rejected after the last edit of objects."""
        if not self._of_run.rejections:
            return False
        last = self._of_run.rejections[-1]
        is_edited = last.edit is not self._editing.history.last
        return self.writer.pending_keys == last.pending and not is_edited

    def restore_last_rejected(self) -> None:
        """Offer the mask again that was rejected last, and show it alone."""
        if self._of_run.rejections:
            self._returning = self._of_run.rejections.pop().mask.key
            self._update()

    def restore_rejected(self) -> None:
        """Offer all rejected masks again."""
        self._of_run.rejections.clear()
        self._update()

    def unlike_on(self, plane: ImagePlane) -> tuple[MaskCrop, ...]:
        """Return the masks of a plane that were rejected in this run, and in those before it."""
        request = self._generator.request
        if request is None or request.plane is not plane:
            return ()
        if request.slices is not None:  # where masks are of several planes
            return request.unlike
        crops = (rejection.mask.plane_crop for rejection in self._of_run.rejections)
        return (*request.unlike, *crops)

    def _leave(self, current: AutomaticMask) -> None:
        masks = self._offered.masks
        following = masks[(masks.index(current) + 1) % len(masks)]
        self._current_key = None if following is current else following.key
        self._update()
        self.changed.emit()

    # Writing -------------------------------------------------------------------------------

    def accept(self, masks: Sequence[AutomaticMask]) -> bool:
        """Write masks into the target, in the background; they get the current class.

        One undo takes back all of them.
        """
        if not masks:
            return False
        if not self._is_here:
            reason = "These masks belong to another image or slice: go there to accept them."
            self._notifier.warn(self._editing.refusal or reason)
            return False
        self._editing.need_target()
        target = self._editing.target
        if target is None:
            self._notifier.warn("There is no target for new objects: choose a Labels layer.")
            return False
        self.writer.write(masks, target)
        return True

    # Which masks are done ------------------------------------------------------------------

    def follow_target(self) -> None:
        """Follow the objects of the current target."""
        self._follow(registry_of(self._editing.target))
        self._update()

    def _follow(self, registry: ObjectRegistry | None) -> None:
        if self._registry is not None:
            self._registry.changed.disconnect(self._update)
        self._registry = registry
        if registry is not None:
            registry.changed.connect(self._update)

    def _update(self) -> None:
        pending = self.writer.pending_keys
        last, rejections = self._editing.history.last, self._of_run.rejections
        rejections[:] = [
            replace(rejection, edit=last, pending=frozenset())
            if rejection.pending and not rejection.pending & pending
            else rejection
            for rejection in rejections
        ]
        rejected = {key for rejection in rejections for key in rejection.mask.keys}
        accepted, covered = set(pending), set[MaskKey]()
        if self._registry is not None:
            accepted |= set(self.writer.accepted.existing(self._registry))
            covered = self.writer.accepted.covered(self._registry, self._editing.overlap)
        done = rejected | accepted | covered
        self._accepted_alone -= covered
        for key in self._accepted_alone - done:
            self._accepted_alone.discard(key)
            self._returning = key
        self._generator.exclude(done, accepted - rejected, rejected)
