"""The objects in progress on all planes: those to be kept, and those of an earlier program."""

from collections.abc import Callable, Hashable
from typing import Any

from psygnal import Signal

from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.objects.editing import Editing
from napari_sam.session.objects.history import Edit
from napari_sam.session.plane_registry import PlaneRegistry


class UnfinishedObjects:
    """Lists what is in progress on the shown plane and on others, and restores it."""

    changed = Signal()
    """An object was restored."""

    def __init__(
        self,
        planes: PlaneRegistry,
        decoding: Decoding,
        editing: Editing,
        show: Callable[[ObjectState], None],
    ) -> None:
        self._planes, self._decoding, self._editing = planes, decoding, editing
        self._show = show

    @property
    def all(self) -> list[tuple[Any, ObjectState]]:
        """Each with the key of its plane; the one on the shown plane comes last."""
        planes, state = self._planes, self._decoding.state
        if planes.key is None or state.prompts.is_empty:
            return planes.parked
        return [*planes.parked, (planes.key, state.as_shown(self._decoding.candidates))]

    def is_shown(self, key: Hashable) -> bool:
        """Whether a plane is the shown one."""
        return key is not None and key == self._planes.key

    def restore(self, key: Hashable, state: ObjectState) -> None:
        """Continue with the object of an earlier program on a plane, whether it is shown or not.

        Its prompts can be undone one by one, and then what was in progress there is back.
        """
        planes, is_shown = self._planes, self.is_shown(key)
        plane_id = planes.id_of(key)
        before = self._decoding.state if is_shown else planes.restore(plane_id, state)
        for after in state.steps:
            self._editing.history.push(Edit(before, after, plane_id))
            before = after
        if is_shown:
            self._show(state)
        self.changed.emit()
