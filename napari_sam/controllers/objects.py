"""Connects the table of objects with the target and the view."""

from collections.abc import Sequence
from functools import partial
from typing import Final, cast

from napari_sam._qt.building import rest_timer
from napari_sam._qt.export_row import ExportScope
from napari_sam._qt.object_columns import PlaneAxes
from napari_sam._qt.object_table import ObjectTable
from napari_sam._qt.tabs import Tab
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.export import ExportController
from napari_sam.layers.target import TargetLayer
from napari_sam.session.annotations import axes_in_files
from napari_sam.session.automatic.masks import MaskKey
from napari_sam.session.connections import Connections
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.object_editing import Details
from napari_sam.session.objects.records import counted
from napari_sam.session.state import SessionState
from napari_sam.session.tracks.lineage import founder_in

_MANY: Final = 500
"""So many rows are updated in a round of the event loop of their own."""


class ObjectTableController:
    """Keeps the table up to date with the target, and makes the changes requested in it."""

    def __init__(self, context: WidgetContext) -> None:
        self._binding, self._session = binding, session = context.binding, context.session
        self._messages = context.messages
        self.table = table = ObjectTable()
        self.files = ExportController(context, self._rows_in)
        tooltip = "All objects of the target: sort, filter, go to, edit, export"
        self.tab = Tab(self.table, "Objects (0)", tooltip, scrolls=False)
        self._target: TargetLayer | None = None
        self._target_connection = Connections()
        self._axes = PlaneAxes()
        self._started: tuple[bool, int | None] = (False, None)
        self._mask_shown: MaskKey | None = None
        self._changed: set[int] = set()
        self._many_timer = rest_timer(context.widget, 0, self._update_rows)
        self._connect(table)
        self.tab.toggled.connect(binding.objects.pointer.switch)
        self._connections = Connections(
            (binding.target.changed, self._on_target_changed),
            (binding.objects.object_pointed_at, table.highlight),
            (binding.plane.stack_changed, self._on_plane_changed),
            (binding.tracks.changed, self._on_plane_changed),
            (binding.shortcuts.changed, self._on_shortcuts_changed),
            (session.predicted_classes.changed, self._on_plane_changed),
            (session.predicted_classes.predicted, self._on_records_changed),
            (session.changed, self._on_session_changed),
            (session.automatic_review.changed, self._on_mask_shown),
            (session.accepted, self._on_accepted),
            (table.view.selectionModel().selectionChanged, self._on_selection_changed),
        )
        binding.shortcuts.register(
            {
                "next_object": lambda: self.step(1),
                "previous_object": lambda: self.step(-1),
                "reviewed": self.review,
                "remove": partial(binding.objects.attempt, self._remove_under_cursor),
            }
        )
        self._on_target_changed()

    def _connect(self, table: ObjectTable) -> None:
        objects = self._binding.objects
        table.go_requested.connect(objects.go_to)
        table.reedit_requested.connect(self._on_reedit)
        table.remove_requested.connect(self._on_remove)
        table.merge_requested.connect(partial(objects.attempt, self._session.objects.merge))
        table.change_requested.connect(self._on_change)
        table.command_requested.connect(self._binding.shortcuts.run)

    def _rows_in(self, scope: ExportScope) -> frozenset[int] | None:
        """Return the objects to export; None: all of them."""
        if scope is ExportScope.ALL:
            return None
        return frozenset(
            self.table.selected if scope is ExportScope.SELECTED else self.table.model.shown
        )

    def close(self) -> None:
        """Disconnect the target and the view."""
        self._many_timer.stop()
        self._connections.close()
        self._target_connection.close()

    @property
    def is_idle(self) -> bool:
        """Whether the table shows all objects as they are."""
        return not self._many_timer.isActive()

    # Review --------------------------------------------------------------------------------------

    @property
    def selected(self) -> list[int]:
        """The label_ids of the selected rows, if the table is shown."""
        return self.table.selected if self.tab.is_current else []

    def step(self, count: int) -> None:
        """Select the next or previous row, and go to its object."""
        self.tab.select()
        self._go_to(self.table.neighbor(count), is_forward=count > 0)

    def review(self) -> None:
        """Mark the selected objects as reviewed and go to the next that is not; or unmark them.

        Without a selected object, go to one. After the last one, none is selected.
        """
        self.tab.select()
        self._messages.done()
        selected, following = self.table.selected, self.table.next_unreviewed()
        if not selected or self._target is None:
            self._go_to(following)
        elif all(self.table.model.is_reviewed(label_id) for label_id in selected):
            self._on_change(selected, "reviewed", False)
            self._messages.info(f"{_named(selected)} no longer reviewed.")
        else:
            self._on_change(selected, "reviewed", True)
            self._go_to(following)

    def _go_to(self, label_id: int | None, *, is_forward: bool = True) -> None:
        if label_id is not None:
            self.table.select(label_id)
            return
        records = () if self._target is None else tuple(self._target.registry)
        if not records or not all(record.reviewed for record in records):
            progress = self.table.model.progress
            self._session.notifier.warn(f"No more objects in this direction: {progress}.")
            return
        if is_forward:  # the review is over: class keys are about the next object
            self.table.start_over()
        count = len(records)
        is_one = "The object is" if count == 1 else f"All {count:,} objects are"
        self._messages.info(f"{is_one} reviewed.")

    def _on_session_changed(self, state: SessionState) -> None:
        """Deselect all rows when another object is started, so that number keys apply to it."""
        reedited = self._session.objects.reedited_label_id
        before, self._started = self._started, (not state.prompts.is_empty, reedited)
        if (
            self._started != before
            and not state.prompts.is_empty
            and self.table.selected != [reedited]
        ):
            self.table.view.clearSelection()

    def _on_mask_shown(self) -> None:
        """Deselect all rows when another automatic mask is shown alone, for the same reason."""
        current = self._session.automatic_review.current
        before, self._mask_shown = self._mask_shown, None if current is None else current.key
        if self._mask_shown not in (None, before):
            self.table.view.clearSelection()

    def _on_accepted(self, edit: LabelsEdit) -> None:
        if edit.n_made > 0 and edit.target is self._target and not self._many_timer.isActive():
            self.table.show_new(edit.label_id)

    def _on_selection_changed(self) -> None:
        self._binding.objects.outlines.choose(self.table.selected)
        self._binding.objects.brush_label.choose(self.table.selected)

    def _on_shortcuts_changed(self) -> None:
        self.table.set_keys(self._binding.shortcuts.table_bindings)

    # The target ----------------------------------------------------------------------------------

    def _on_target_changed(self) -> None:
        self._target_connection.close()
        self._target = target = self._binding.target.labels
        if target is not None:
            changed = target.registry.changed, self._on_records_changed
            self._target_connection = Connections(changed)
        self._axes = self._plane_axes()
        self.table.set_records((), self._axes)
        self._changed.clear()
        self._on_records_changed(
            frozenset() if target is None else frozenset(r.label_id for r in target.registry)
        )

    def _on_plane_changed(self) -> None:
        axes = self._plane_axes()
        if axes != self._axes:
            self._axes = axes
            self.table.model.set_axes(axes)

    def _plane_axes(self) -> PlaneAxes:
        """Return the shown axes of the target; those of files while none are shown."""
        target, view = self._target, self._binding.plane.view
        if target is None:
            return PlaneAxes()
        *sliced, row_axis, column_axis = axes_in_files(target.shape)
        if view is not None:
            view = view.for_labels(len(target.shape))
            if view.shape_nd == target.shape:
                sliced, row_axis, column_axis = view.axes_of_planes, view.row_axis, view.column_axis
        pixel_area, unit = target.pixel_area(row_axis, column_axis)
        frame_axis, registry = self._binding.tracks.axis, target.registry
        is_depth = bool(sliced) and sliced[-1] != frame_axis
        distance = target.slice_distance(sliced[-1], unit) if is_depth else None
        about = tuple(sliced), pixel_area, unit, distance, frame_axis

        def founder_of(label_id: int) -> int:
            return founder_in(registry, label_id, frame_axis)

        predicted = self._session.predicted_classes
        return PlaneAxes(*about, founder_of, predicted.of if predicted.is_on else None)

    def _on_records_changed(self, label_ids: frozenset[int]) -> None:
        self._changed |= label_ids
        if len(self._changed) > _MANY:
            self._many_timer.start()
        else:
            self._update_rows()

    def _update_rows(self) -> None:
        changed, self._changed = self._changed, set()
        if self._target is not None:
            registry = self._target.registry
            self.table.update_records({label_id: registry.get(label_id) for label_id in changed})
        self._show_count()

    def _show_count(self) -> None:
        count = 0 if self._target is None else len(self._target.registry)
        self.tab.set_title(f"Objects ({count:,})")

    def _on_reedit(self, label_id: int) -> None:
        self._binding.objects.go_to(label_id, stays_on_slice=True)
        self._binding.objects.reedit(label_id)

    def _on_remove(self, label_ids: list[int]) -> None:
        self._messages.done()
        self._binding.objects.attempt(self._session.objects.remove, label_ids)
        if self._target is not None and self._target.registry.get(label_ids[0]) is None:
            key = self._binding.shortcuts.undo_text
            self._messages.info(f"{_named(label_ids)} deleted: {key} takes it back.")

    def _remove_under_cursor(self) -> None:
        self._on_remove([self._binding.objects.require_under_cursor()])

    def _on_change(self, label_ids: list[int], field: str, value: object) -> None:
        details = cast(Details, {field: value})
        self._binding.objects.attempt(lambda: self._session.objects.update(label_ids, **details))


def _named(label_ids: Sequence[int]) -> str:
    """Return some objects as the beginning of a sentence, with its verb."""
    return f"Object {label_ids[0]} is" if len(label_ids) == 1 else f"{counted(len(label_ids))} are"
