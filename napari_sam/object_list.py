"""Connects the table of objects with the target and with the view."""

from __future__ import annotations

from napari_sam._qt.fold import Fold
from napari_sam._qt.object_model import PixelArea
from napari_sam._qt.object_table import ObjectTable
from napari_sam.layers import LayerBinding
from napari_sam.layers.target import TargetLayer
from napari_sam.object_files import ObjectFiles
from napari_sam.session import AnnotationSession, Dispatcher


class ObjectList:
    """Keeps the table true to the target, and does what is asked for in it.

    Parameters
    ----------
    binding : LayerBinding
        Knows the target and moves the view.
    session : AnnotationSession
        Changes objects.
    dispatcher : Dispatcher
        How what was done in the background reaches the GUI thread.
    """

    def __init__(
        self, binding: LayerBinding, session: AnnotationSession, dispatcher: Dispatcher
    ) -> None:
        self._binding, self._session = binding, session
        self.table = ObjectTable()
        self.files = ObjectFiles(binding, session, dispatcher)
        self.table.layout().addWidget(self.files.row)
        self.fold = Fold(self.table, "Every object of the target: sort, filter, fly there, change")
        self._target: TargetLayer | None = None
        table = self.table
        table.go_requested.connect(binding.go_to)
        table.reopen_requested.connect(self._on_reopen)
        table.remove_requested.connect(self._on_remove)
        table.merge_requested.connect(self._on_merge)
        table.change_requested.connect(self._on_change)
        self.fold.toggled.connect(binding.point)
        self._connections = (
            (binding.target_changed, self._on_target_changed),
            (binding.object_pointed_at, table.point_at),
        )
        for event, callback in self._connections:
            event.connect(callback)
        self._on_target_changed()

    def close(self) -> None:
        """Let the target and the view go."""
        for event, callback in self._connections:
            event.disconnect(callback)
        self._follow(None)
        self.files.close()

    def _follow(self, target: TargetLayer | None) -> None:
        if self._target is not None:
            self._target.book.changed.disconnect(self._on_records_changed)
        self._target = target
        if target is not None:
            target.book.changed.connect(self._on_records_changed)

    def _on_target_changed(self) -> None:
        target = self._binding.target_layer
        self._follow(target)
        area, unit = (1.0, "") if target is None else target.pixel_area
        self.table.set_records(() if target is None else target.book, PixelArea(area, unit))
        self._show_count()

    def _on_records_changed(self, label_ids: frozenset[int]) -> None:
        if self._target is not None:
            book = self._target.book
            self.table.update_records({label_id: book.get(label_id) for label_id in label_ids})
            self._show_count()

    def _show_count(self) -> None:
        count = 0 if self._target is None else len(self._target.book)
        self.fold.set_title("1 object" if count == 1 else f"{count} objects")

    def _on_reopen(self, label_id: int) -> None:
        self._binding.go_to(label_id)
        self._binding.reopen(label_id)

    def _on_remove(self, label_ids: list[int]) -> None:
        self._binding.attempt(lambda: self._session.remove(label_ids))

    def _on_merge(self, label_ids: list[int]) -> None:
        self._binding.attempt(lambda: self._session.merge(label_ids))

    def _on_change(self, label_ids: list[int], what: str, value: object) -> None:
        self._binding.attempt(lambda: self._session.note(label_ids, **{what: value}))
