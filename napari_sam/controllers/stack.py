"""Connects the panel for objects of several slices with the session, the table and the view."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from napari_sam._qt.building import ShortcutTexts
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.stack_panel import BACKWARD, BOTH_WAYS, FORWARD, StackPanel
from napari_sam._qt.tabs import Tab
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.objects import ObjectTableController
from napari_sam.session.connections import Connections
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted
from napari_sam.session.objects.slices import Origin, slices_in_words
from napari_sam.session.propagation.chosen_object import NO_OBJECT
from napari_sam.session.propagation.stack_editing import StackState
from napari_sam.session.propagation.stack_run import Run
from napari_sam.session.state import SessionState


class StackController:
    """Shows the slices of the object that was chosen last, and carries objects on."""

    def __init__(self, context: WidgetContext, objects: ObjectTableController) -> None:
        self._binding, self._session = context.binding, context.session
        self._messages = context.messages
        self._stack, self._table = context.session.stack, objects.table
        self.texts = ShortcutTexts()
        """Of the panel."""
        self.on_demand = OnDemand(lambda: StackPanel(self.texts))
        tooltip = "The slices of an object: carry it on through the stack, and correct it"
        self.tab = Tab(self.on_demand, "Stack", tooltip)
        self.tab.offer(False)
        self._viewer, self._shown = context.viewer, StackState()
        self._in_progress: tuple[bool, int | None] = (False, None)
        self.on_demand.when_built(self._connect_panel)
        stack = self._stack
        self._connections = Connections(
            (stack.changed, self._show),
            (stack.slice_wanted, self._go_to_slice),
            (stack.propagation.finished, self._on_propagated),
            (stack.corrections.cleared, self._on_cleared),
            (stack.corrections.followed, self._on_followed),
            (context.session.changed, self._on_session_changed),
            (context.binding.image_changed, self._on_image_changed),
            (context.binding.tracks.changed, self._show),
            (self._table.view.selectionModel().selectionChanged, self._on_selection_changed),
            (self.tab.toggled, self._on_toggled),
        )
        self._of_panel = Connections()
        self._binding.shortcuts.register(self._commands())
        self._show()

    @property
    def panel(self) -> StackPanel:
        """The page of the tab, built when it is first needed."""
        return self.on_demand.get()

    def _connect_panel(self, panel: StackPanel) -> None:
        attempt, stack = self._binding.objects.attempt, self._stack
        self._of_panel = Connections(
            (panel.propagate_requested, self.propagate),
            (panel.all_requested, self.propagate_all),
            (panel.continue_requested, self.continue_in_next),
            (panel.correct_requested, self.correct),
            (panel.clear_requested, partial(attempt, stack.corrections.clear_slice)),
            (panel.weak_requested, self.go_to_weak),
            (panel.stop_requested, self.stop),
            (panel.slices_left, partial(stack.corrections.switch, False)),
            (panel.go_on_requested, partial(attempt, stack.go_on)),
            (panel.dismiss_requested, stack.dismiss),
            (panel.strip.slice_requested, self.review_slice),
            (panel.strip.range_requested, partial(attempt, self._set_range)),
        )

    def _commands(self) -> dict[str, Callable[[], None]]:
        """Return what keys do."""
        return {
            "continue_next": partial(self.continue_in_next, 1),
            "continue_previous": partial(self.continue_in_next, -1),
            "propagate": partial(self.propagate, BOTH_WAYS),
            "propagate_forward": partial(self.propagate, FORWARD),
            "propagate_backward": partial(self.propagate, BACKWARD),
            "stop_propagating": self.stop,
            "correct_slice": self.correct,
            "clear_slice": partial(
                self._binding.objects.attempt, self._stack.corrections.clear_slice
            ),
            "next_weak": self.go_to_weak,
        }

    def close(self) -> None:
        """Disconnect from the session and the table."""
        self._connections.close()
        self._of_panel.close()

    # What is shown -----------------------------------------------------------------------------

    def _on_toggled(self, is_shown: bool) -> None:
        if is_shown:
            self._show()
        else:  # clicks begin other objects: what shows that they do not is out of sight
            self._stack.corrections.switch(False)

    def _on_image_changed(self) -> None:
        self._shown = StackState()
        self._show()

    def _on_session_changed(self, state: SessionState) -> None:
        """Show what the buttons act on: an object in progress, or the chosen one."""
        in_progress = state.has_object_in_progress, state.reedited_label_id
        if in_progress != self._in_progress:
            self._in_progress = in_progress
            if state.reedited_label_id is not None:
                self._stack.choose(state.reedited_label_id)
            self._show()

    def _on_selection_changed(self) -> None:
        selected = self._table.selected
        if len(selected) == 1:
            self._stack.choose(selected[0])
        self._show()

    def _show(self) -> None:
        state = self._stack.state
        if self._viewer.dims.ndisplay == 3:  # no slice is shown, but the stack is the same
            run, question, refusal = state.run, state.question, state.refusal
            state = replace(self._shown, run=run, question=question, refusal=refusal)
        self._shown = state
        self.tab.offer(state.n_slices > 1 or state.run is not None)
        if self.tab.is_current:
            axis, target = self._binding.tracks.axis, self._session.editing.target
            is_along = axis is not None and (target is None or target.slice_axis == axis)
            self.panel.show_film(has_frames=axis is not None, is_along=is_along)
            n_selected = len(self._table.selected)
            self.panel.show_state(state, is_new=self._is_new, n_selected=n_selected)

    @property
    def _is_new(self) -> bool:
        """Whether the object in progress is not in the target yet."""
        is_in_progress, reedited_label_id = self._in_progress
        return is_in_progress and reedited_label_id is None

    # What is asked for -------------------------------------------------------------------------

    def propagate(self, direction: int) -> None:
        """Carry on the selected objects if there are several, else one of them."""
        selected = self._table.selected
        several = selected if len(selected) > 1 else ()
        self._binding.objects.attempt(self._propagate, direction, several)

    def propagate_all(self, direction: int) -> None:
        """Carry on all objects of the shown slice."""
        label_ids = self._binding.objects.on_slice()
        if label_ids:
            self._binding.objects.attempt(self._propagate, direction, label_ids)
        else:
            warning = "There is no object on this slice yet: accept one first."
            self._session.notifier.warn(warning)

    def _propagate(self, direction: int, label_ids: list[int]) -> None:
        first, last = self.panel.limits
        start, end = self._annotated(label_ids)
        if direction == FORWARD:
            first = max(first or 0, start)
        if direction == BACKWARD:
            last = end if last is None else min(last, end)
        if first is not None and last is not None and first > last:
            raise TargetError(
                "The range of slices ends here in this direction: change it in the Stack tab."
            )
        self._stack.propagate(tuple(label_ids), first, last)

    def _annotated(self, label_ids: list[int]) -> tuple[int, int]:
        """Return between which slices an object is annotated; else the shown slice, twice."""
        state = self._stack.state
        annotated: list[int] = []
        if not label_ids and not self._is_new and state.slices is not None:
            entries = [entry for entry in state.slices if entry.origin is Origin.ANNOTATED]
            annotated = [entry.slice_index for entry in entries]
        annotated = annotated or [state.slice_index]
        return annotated[0], annotated[-1]

    def continue_in_next(self, step: int) -> None:
        """Carry the object on to the slice beside the shown one, and show that."""
        self._binding.objects.attempt(self._stack.continue_in_next, step)

    def stop(self) -> None:
        """Stop a run, leave objects as deep as they are, or end corrections; else select none."""
        state = self._stack.state
        if state.run is not None:
            self._stack.stop()
        elif state.question:
            self._stack.dismiss()
        elif state.is_correcting:
            self._stack.corrections.switch(False)
        else:
            self._table.select_only(())

    def correct(self) -> None:
        """Have clicks correct the chosen object, or begin others again."""
        state = self._stack.state
        if state.label_id is None:
            self._session.notifier.warn(state.refusal or NO_OBJECT)
        else:
            self._stack.corrections.switch(not state.is_correcting)
            if not state.is_correcting:
                self._binding.prompts.start_points()

    def review_slice(self, slice_index: int) -> None:
        """Show a slice of the chosen object, and have clicks correct it there."""
        self._go_to_slice(slice_index)
        self._stack.corrections.switch(True)

    def go_to_weak(self) -> None:
        """Show the next slice on which the chosen object is least sure."""
        state = self._stack.state
        index = None if state.slices is None else state.slices.next_weak(state.slice_index)
        if index is not None:
            self.review_slice(index)
        else:
            self._session.notifier.warn(
                "No slice of this object is computed yet: propagate it first."
                if state.label_id is not None
                else state.refusal or NO_OBJECT
            )

    def _set_range(self, first: int, last: int) -> None:
        label_id = self._stack.state.label_id
        self._stack.corrections.set_range(first, last)
        self._messages.info(f"Set the range of object {label_id} to the slices {first} to {last}.")

    def _on_propagated(self, run: Run) -> None:
        reached = sorted(set().union(*run.reached.values()))
        is_correction = any(course.corrected for course in run.courses)
        if is_correction or len(reached) < 2:
            return
        only = run.courses[0].label_id if len(run.courses) == 1 else None
        what = counted(len(run.courses)) if only is None else f"object {only}"
        where = f"{what} to {slices_in_words(reached)}"
        self._messages.info(
            f"Propagated {where}." if run.is_complete else f"Stopped after propagating {where}."
        )

    def _on_cleared(self, label_id: int, cleared: list[int], changed: list[int]) -> None:
        more = f", and changed on {slices_in_words(changed)}" if changed else ""
        alone = " To clear one slice only, first correct one beyond it." if len(cleared) > 1 else ""
        where = slices_in_words(cleared)
        self._messages.info(
            f"Object {label_id} was removed from {where}{more}. Undo brings it back.{alone}"
        )

    def _on_followed(self, label_id: int, changed: list[int], n_weak: int) -> None:
        count = "1 other slice" if len(changed) == 1 else f"{len(changed)} other slices"
        count = f"{count} changed" if changed else "no other slice changed"
        weak = "1 slice is weak" if n_weak == 1 else f"{n_weak or 'no'} slices are weak"
        self._messages.info(f"Corrected object {label_id}: {count}, {weak}.")

    def _go_to_slice(self, slice_index: int) -> None:
        view = self._binding.plane.view
        if view is not None and view.axes_of_planes:
            self._binding.plane.go_to(view.at_slice(slice_index))
