"""What was learned on one image: from the objects of one target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Final, NamedTuple

from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.learning.lessons import Lesson
from napari_sam.session.learning.measuring import AcceptedObject
from napari_sam.session.objects.brush_edits import BrushEdits
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, ObjectRegistry

MAX_LESSONS: Final = 64
"""Of an image, and of those before: the newest."""
_MAX_TASKS: Final = 32
"""Each holds the masks of a first click, a megabyte."""
_MAX_DONE: Final = 8
"""Tasks that are kept when they are done: the user may still paint on the objects."""


class MadeObject(NamedTuple):
    """An object as it was made; re-edited, it is made anew."""

    uid: int
    label_id: int
    masks: tuple[PackedMask, ...]

    def record_in(self, registry: ObjectRegistry) -> ObjectRecord | None:
        """Return its record in a target; None if it is gone."""
        record = registry.get(self.label_id)
        if record is not None and record.uid == self.uid:
            return record
        # Renumbered, which is rare, or gone.
        return next((other for other in registry if other.uid == self.uid), None)

    def is_in(self, registry: ObjectRegistry) -> bool:
        """Whether it is in a target as it was made; carried through a stack, it may be more."""
        record = self.record_in(registry)
        return record is not None and (record.masks == self.masks or record.slices is not None)


@dataclass(eq=False)
class LearningTask:
    """An accepted object to learn from, and again after a brush has changed it."""

    made: MadeObject
    accepted: AcceptedObject
    plane: ImagePlane
    embedder: Embedder
    learned: BrushEdits | None = None  # how it was painted on when it was learned from

    def painted(self, registry: ObjectRegistry) -> BrushEdits | None:
        """Return how it is painted on; None if there is nothing new to learn from it."""
        record = self.made.record_in(registry)
        if record is None or not self.made.is_in(registry):
            return None
        if self.learned is not None and record.slices is not None:
            return None  # the brush may have been on any slice
        return None if record.brushed is self.learned else record.brushed

    def as_painted(self, brushed: BrushEdits) -> AcceptedObject:
        """Return the accepted object as a brush has left it; for a background thread."""
        masks = brushed.corrected((mask.mask, mask.start) for mask in self.made.masks)
        return replace(
            self.accepted,
            masks=tuple(PackedMask(start, mask) for mask, start in masks),
            is_corrected=self.accepted.is_corrected or bool(brushed.painted or brushed.erased),
        )


@dataclass(eq=False)
class ImageLessons:
    """What was learned on one image: from the objects of one target."""

    lessons: dict[MadeObject, Lesson] = field(default_factory=dict)  # in the order of acceptance
    # objects to learn from, the oldest first; undone ones may be repeated
    tasks: list[LearningTask] = field(default_factory=list)
    deleted: list[ObjectRecord] = field(default_factory=list)  # objects that were once deleted
    rejected_px: list[float] = field(default_factory=list)  # areas of rejected masks

    def valid(self, registry: ObjectRegistry, before: MadeObject | None = None) -> list[Lesson]:
        """Return the lessons of objects that are still as they were made, maybe up to one."""
        earlier = takewhile(lambda item: item[0] != before, self.lessons.items())
        return [lesson for made, lesson in earlier if made.is_in(registry)]

    def due(self, registry: ObjectRegistry) -> list[tuple[LearningTask, BrushEdits]]:
        """Return what something new is to be learned from, and how a brush has changed it."""
        tasks = ((task, task.painted(registry)) for task in self.tasks)
        return [(task, brushed) for task, brushed in tasks if brushed is not None]

    def add_task(self, task: LearningTask) -> None:
        """Add an object to learn from."""
        self.tasks = [*self.tasks, task][-_MAX_TASKS:]

    def finish(self, task: LearningTask, learned: BrushEdits, lesson: Lesson | None) -> None:
        """Keep what was learned from an object as it was painted on; None if that is nothing."""
        task.learned = learned
        if lesson is None:
            self.lessons.pop(task.made, None)  # what it taught before it was painted on
        else:
            self.lessons[task.made] = lesson
        for made in list(self.lessons)[:-MAX_LESSONS]:
            del self.lessons[made]
        done = [other for other in self.tasks if other.learned is not None]
        self.tasks = [other for other in self.tasks if other not in done[:-_MAX_DONE]]

    def refused_px(self, registry: ObjectRegistry) -> list[float]:
        """Return the areas of rejected masks and of objects that are deleted now."""
        gone = [
            float(record.area_px)
            for record in self.deleted
            if MadeObject(record.uid, record.label_id, ()).record_in(registry) is None
        ]
        return [*self.rejected_px, *gone]
