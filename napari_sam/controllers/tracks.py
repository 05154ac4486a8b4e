"""Connects the panel for tracks with the session, the table and the view."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam._qt.building import ShortcutTexts
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.stack_panel import StackPanel
from napari_sam._qt.tracks_panel import COMMANDS, TracksPanel
from napari_sam.controllers.classes import ClassesController
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.objects import ObjectTableController
from napari_sam.controllers.stack import StackController
from napari_sam.formats.reading_tracks import GEFF_FILE, read_tracks
from napari_sam.formats.tracks import Tracks
from napari_sam.session.annotations import image_of_labels
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import user_message
from napari_sam.session.objects.history import Edit
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.propagation.stack_run import Run
from napari_sam.session.tracks.divisions import ProposedDivision
from napari_sam.session.tracks.editing import TracksState
from napari_sam.session.tracks.lineage import Lineages
from napari_sam.session.tracks.selection import TrackEdit, TrackSelection

_NOT_FIRST: Final = "napari shows tracks only where time is the first axis of the image"
_NO_FRAMES: Final = (
    "Only a film has tracks, and this image has no frames. To make one object of several, select "
    "their rows in the tab Objects and press Merge."
)
_NO_FILM: Final = "The slices are no frames: check 'Slices are frames' in the Stack tab first."
_NO_DIVISION: Final = "No division is proposed: link the frames first."
_DONE: Final = {
    TrackEdit.JOIN: "Joined the tracks {}.",
    TrackEdit.CUT: "Cut track {} in frame {frame}.",
    TrackEdit.SWAP: "Swapped the tracks {} from frame {frame} on.",
    TrackEdit.DIVIDE: "Marked a division in frame {frame}.",
    TrackEdit.UNDIVIDE: "Took the division back.",
    TrackEdit.END: "Ended track {} before frame {frame}.",
}
_FILES_IN_FOLDERS: Final = GEFF_FILE, ".zattrs", ".zgroup"
"""What a user may choose of a folder of tracks, as dialogs offer files."""


class TracksController:
    """Shows the tracks of a film, and makes the edits of them that are requested."""

    def __init__(
        self,
        context: WidgetContext,
        objects: ObjectTableController,
        stack: StackController,
        classes: ClassesController,
    ) -> None:
        self._session, self._messages = context.session, context.messages
        self._binding, self._defer = context.binding, context.dispatcher.post
        self._tracks, self._view = context.session.tracks, context.binding.tracks
        self._table, self._tab, self._classes = objects.table, stack.tab, classes
        self._executor = context.session.background.executor("tracks-file", is_bulky=True)
        self._lineages: Lineages | None = None  # of the target, until it changes
        self._chosen_division: ProposedDivision | None = None
        self._seen: ProposedDivision | None = None  # that the view was moved to last
        self._is_cutting = False  # a track is being cut in two
        self.texts = ShortcutTexts()
        """Of the panel."""
        self.on_demand = OnDemand(lambda: TracksPanel(self.texts))
        """The panel, which is built with that of the stack."""
        self._stack_panel = stack.on_demand
        self._records, self._of_panel = Connections(), Connections()
        stack.on_demand.when_built(self._add_panel)
        self._connections = Connections(
            (self._tracks.changed, self._show),
            (self._tracks.linked, self._on_linked),
            (self._view.changed, self._on_frames_changed),
            (context.session.editing.done, self._on_edited),
            (context.binding.target.changed, self._on_target_changed),
            (context.session.stack.changed, self._show),
            (context.session.stack.propagation.finished, self._on_propagated),
            (self._table.view.selectionModel().selectionChanged, self._show),
            (stack.tab.toggled, self._show),
            (classes.coloring_changes, self._on_coloring_changes),
            (objects.files.tracks_chosen, self.import_from),
        )
        context.binding.shortcuts.register(self._commands())
        self._on_target_changed()
        self._on_frames_changed()

    def _add_panel(self, stack_panel: StackPanel) -> None:
        panel, attempt = self.on_demand.get(), self._binding.objects.attempt
        stack_panel.add_tracks(panel)
        self._of_panel = Connections(
            (stack_panel.frames_toggled, self._view.switch),
            (panel.layer_toggled, self._view.show),
            (panel.link_requested, partial(attempt, self._link)),
            (panel.trackastra_requested, partial(attempt, self._link, self._frames)),
            (panel.stop_requested, self._tracks.stop_linking),
            (panel.edit_requested, partial(attempt, self._edit)),
            (panel.go_requested, self.go_to_division),
            (panel.confirm_requested, partial(attempt, self._decide, True)),
            (panel.reject_requested, partial(attempt, self._decide, False)),
            (panel.confirm_all_requested, partial(attempt, self._tracks.confirm_all)),
            (panel.import_requested, self.import_from),
        )
        self._on_frames_changed()

    def _commands(self) -> dict[str, Callable[[], None]]:
        """Return what keys do."""
        attempt = self._binding.objects.attempt
        return {
            command: partial(attempt, self._edit, edit) for edit, command in COMMANDS.items()
        } | {
            "select_object": self.select_under_cursor,
            "next_division": self.go_to_division,
            "confirm_division": partial(attempt, self._decide, True),
            "reject_division": partial(attempt, self._decide, False),
        }

    def close(self) -> None:
        """Disconnect from the session and the view."""
        for connections in (self._connections, self._records, self._of_panel):
            connections.close()

    # What is shown -----------------------------------------------------------------------------

    def _on_target_changed(self) -> None:
        self._records.close()
        target = self._binding.target.labels
        if target is not None:
            self._records = Connections((target.registry.changed, self._on_records_changed))
        self._on_records_changed()

    def _on_records_changed(self) -> None:
        self._lineages = None
        self._show()

    def _on_frames_changed(self) -> None:
        self._lineages = None
        view = self._view
        refusal = _NOT_FIRST if view.axis else None
        if self.on_demand.built is not None:
            self.on_demand.built.show_layer(refusal, is_shown=view.is_shown)
        self._show()

    def _on_coloring_changes(self, is_by_class: bool) -> None:
        """Leave the colors to the classes while objects are colored by them."""
        if is_by_class:
            self._view.color(False)
        else:
            self._defer(lambda: self._view.color(not self._classes.is_coloring))

    @property
    def _selection(self) -> TrackSelection:
        target, axis = self._binding.target.labels, self._view.axis
        if self._lineages is None:
            records = () if target is None or axis is None else target.registry
            self._lineages = Lineages(records, axis or 0)
        chosen = self._session.stack.state.label_id
        label_ids = self._table.selected or ([] if chosen is None else [chosen])
        return TrackSelection(self._lineages, tuple(label_ids), self._view.frame)

    def _show(self) -> None:
        if self._tab.is_current:
            state = self._tracks.state
            self._stack_panel.get().show_proposals(len(state.divisions))
            run = self._session.stack.state.run
            self.on_demand.get().show_state(state, self._selection, self._next_of(state), run)

    # Edits -------------------------------------------------------------------------------------

    def _edit(self, edit: str) -> None:
        """Make an edit of the selected tracks in the shown frame."""
        self._require_film()
        selection = self._selection
        label_ids = " and ".join(str(track.label_id) for track in selection.tracks)
        self._is_cutting = edit == TrackEdit.CUT
        selection.apply(TrackEdit(edit), self._tracks)
        self._messages.info(_DONE[TrackEdit(edit)].format(label_ids, frame=selection.frame))

    def _on_edited(self, edit: Edit) -> None:
        """Select the later part of a track that was cut: it is what the next edit is about."""
        if self._is_cutting and edit.labels is not None:
            self._is_cutting = False
            self._table.select_only(
                [change.label_id for change in edit.labels.changes if change.before is None]
            )

    def _require_film(self) -> None:
        if self._view.axis is None:
            raise TargetError(_NO_FILM if self._tab.is_offered else _NO_FRAMES)

    def select_under_cursor(self) -> None:
        """Select the object under the cursor with those selected, or deselect it; else all."""
        label_id = self._binding.objects.under_cursor
        selected = self._table.selected
        chosen = (
            [n for n in selected if n != label_id]
            if label_id in selected
            else [*selected, label_id]
            if label_id
            else []
        )
        self._table.select_only(chosen)
        if not chosen:  # or edits would still be of the object that the slices are shown of
            self._session.stack.choose(None)

    def _link(self, images: Callable[[], NDArray[Any]] | None = None) -> None:
        self._require_film()
        layer = self._binding.target.layer
        scale = None if layer is None else [abs(float(size)) for size in layer.scale]
        self._tracks.link(scale=scale, images=images)

    def _frames(self) -> NDArray[Any]:
        """Return all frames of the image, in gray."""
        image, axis = self._binding.plane.image, self._view.axis
        if image is None or axis is None:
            raise TargetError(_NO_FRAMES)
        frames = np.asarray(image.data[0] if image.multiscale else image.data)
        return np.moveaxis(frames.mean(axis=-1) if image.rgb else frames, axis, 0)

    def _on_linked(self, n_tracks: int) -> None:
        n_divisions = len(self._tracks.state.divisions)
        divisions = "1 proposed division" if n_divisions == 1 else f"{n_divisions} divisions"
        more = f"; {divisions} to confirm or reject in the Stack tab" if n_divisions else ""
        self._messages.info(f"Linked all objects to {n_tracks:,} tracks{more}.")

    def _on_propagated(self, run: Run) -> None:
        """Propose divisions of objects that have fallen in two on their way through a film."""
        if self._view.axis is not None and run.target.slice_axis == self._view.axis:
            registry = run.target.labels.registry
            label_ids = [course.label_id for course in run.courses]
            n_before = len(self._tracks.state.divisions)
            self._tracks.propose([n for n in label_ids if registry.get(n) is not None])
            if len(self._tracks.state.divisions) > n_before:
                self._messages.note("A division is proposed: see Tracks in the Stack tab.")

    # Proposed divisions ------------------------------------------------------------------------

    def _next_of(self, state: TracksState) -> ProposedDivision | None:
        """Return the division that is confirmed or rejected next."""
        chosen = self._chosen_division
        return chosen if chosen in state.divisions else next(iter(state.divisions), None)

    def go_to_division(self) -> None:
        """Show the division in question, or the next one if that was shown last."""
        state = self._tracks.state
        division = self._next_of(state)
        if division is None:
            self._session.notifier.warn(_NO_DIVISION)
            return
        if self._seen == division:
            division = state.following(division) or division
        self._chosen_division = division
        self._go_to(division)

    def _go_to(self, division: ProposedDivision) -> None:
        self._seen, target = division, self._binding.target.labels
        if target is not None:
            label_ids = division.daughter_ids(target) or (division.mother_id(target),)
            self._table.select_only(label_ids)
        self._view.go_to(division)
        self._show()

    def _decide(self, is_confirmed: bool) -> None:
        """Confirm or reject the division in question, and show the next one.

        After the last one that is confirmed, its daughters are selected.
        """
        state, target = self._tracks.state, self._binding.target.labels
        division = self._next_of(state)
        if division is None:
            raise TargetError(_NO_DIVISION)
        mother_id = 0 if target is None else division.mother_id(target)
        following = state.following(division)
        if not is_confirmed:
            self._tracks.reject(division)
        else:
            self._tracks.confirm(division)
            if following is None:
                self._table.select_only(self._selection.lineages.children_of(mother_id))
        self._show_next(following)

    def _show_next(self, division: ProposedDivision | None) -> None:
        self._chosen_division = division
        if division is not None:
            self._go_to(division)
        self._show()

    # Files -------------------------------------------------------------------------------------

    def import_from(self, path: Path) -> None:
        """Link the objects that the points of the tracks in a file lie in."""
        layer, target = self._binding.target.layer, self._binding.target.labels
        if layer is None or target is None or not len(target.registry):
            self._messages.warn(
                f"{path.name} has only points of tracks: segment the objects that they link first."
            )
            return
        path = path.parent if path.name in _FILES_IN_FOLDERS else path
        image = image_of_labels(
            layer.name, target.shape, layer.scale, layer.units, layer.axis_labels
        )
        self._executor.submit(
            lambda _: read_tracks(path, image),
            lambda tracks: self._binding.objects.attempt(self._link_by, tracks, path),
            lambda error: self._messages.fail(
                user_message(error, "Import failed", "choose another file")
            ),
        )

    def _link_by(self, tracks: Tracks, path: Path) -> None:
        if self._view.axis is None:
            self._view.switch(True)
        self._require_film()
        self._tracks.link_by_points(tracks.points, tracks.parents)
        if tracks.left_out:
            self._session.notifier.warn(f"{path.name}: {tracks.left_out}.")
