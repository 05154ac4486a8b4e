"""The panel for tracks: which objects of the frames are the same, and divisions."""

from functools import partial
from pathlib import Path
from typing import Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLayout, QMenu, QStackedWidget, QWidget

from napari_sam._qt.building import (
    ShortcutTexts,
    button,
    fill,
    keep_size,
    progress_bar,
    row,
    show_count,
)
from napari_sam._qt.file_names import name_filter
from napari_sam._qt.flat_button import FlatButton
from napari_sam._qt.painted_labels import PaintedLabel
from napari_sam.formats.reading_tracks import TRACK_SUFFIXES
from napari_sam.session.propagation.stack_run import StackRun
from napari_sam.session.tracks.divisions import ProposedDivision
from napari_sam.session.tracks.editing import LinkRun, TracksState
from napari_sam.session.tracks.lineage import Lineages, Track
from napari_sam.session.tracks.selection import TrackEdit, TrackSelection
from napari_sam.session.tracks.trackastra_links import is_trackastra_installed

_EDITS: Final = (
    (TrackEdit.JOIN, "Join", "Make the two selected objects one track"),
    (TrackEdit.CUT, "Cut here", "Make the object a track of its own from this frame on"),
    (TrackEdit.SWAP, "Swap here", "Swap the two selected objects from this frame on"),
    (
        TrackEdit.DIVIDE,
        "Divide here",
        "The object divides: its daughters begin in this frame. Select the object alone if it is "
        "in two pieces, else its daughters too",
    ),
    (TrackEdit.UNDIVIDE, "No division", "Take the division back: the daughters have no parent"),
    (TrackEdit.END, "End here", "Erase the object from this frame on; its past stays"),
)
COMMANDS: Final = {
    TrackEdit.JOIN: "join_tracks",
    TrackEdit.CUT: "cut_track",
    TrackEdit.SWAP: "swap_tracks",
    TrackEdit.DIVIDE: "divide_track",
    TrackEdit.END: "end_track",
}
"""The commands of keys."""
_EDITS_OF: Final = {
    1: (TrackEdit.CUT, TrackEdit.END, TrackEdit.DIVIDE),
    2: (TrackEdit.JOIN, TrackEdit.SWAP, TrackEdit.DIVIDE),
}
"""The edits of so many selected objects."""
_HINTS: Final = {
    1: "Cut, divide or end it here; with another one: join, swap.",
    2: "Join or swap them, or divide the first into both.",
    3: "Divide the first into the other two.",
}
_IDLE, _BUSY = range(2)
_MENU_PX: Final = 30


class TracksPanel(QWidget):
    """Shows the selected tracks and proposed divisions, and requests edits of them."""

    layer_toggled = Signal(bool)
    """Whether tracks are shown in the view."""
    link_requested = Signal()
    trackastra_requested = Signal()
    stop_requested = Signal()
    edit_requested = Signal(str)
    """A `TrackEdit`."""
    go_requested = Signal()
    confirm_requested = Signal()
    confirm_all_requested = Signal()
    reject_requested = Signal()
    import_requested = Signal(Path)

    def __init__(self, texts: ShortcutTexts) -> None:
        super().__init__()
        self.texts = texts
        self._folder, self._is_linking = "", False
        self.proposals = QWidget()
        fill(self.proposals, *self._build_proposals())
        keep_size(self.proposals)
        fill(self, self._build_top(), *self._build_status(), *self._build_edits(), self.proposals)
        self.show_layer(None)
        self.show_state(TracksState(), TrackSelection(Lineages((), 0)), None)

    def _build_top(self) -> QLayout:
        self.link = button("Link frames", "", self._on_link)
        self.shown = FlatButton("Show tracks", checkable=True)
        self.shown.clicked.connect(self.layer_toggled)
        self.more = FlatButton(icon="more", tooltip="Link objects by the tracks of a file")
        self.more.setFixedWidth(_MENU_PX)
        menu = QMenu(self)
        if is_trackastra_installed():
            menu.addAction("Link by Trackastra", self.trackastra_requested.emit)
        menu.addAction("Link by the tracks in a file…", self._ask_for_file)
        menu.addAction("Link by the tracks in a folder (GEFF)…", self._ask_for_folder)
        self.more.set_menu(menu)
        layout = row(self.link, self.shown, self.more)
        layout.setStretchFactor(self.more, 0)
        return layout

    def _on_link(self) -> None:
        if self._is_linking:
            self.stop_requested.emit()
        else:
            self.link_requested.emit()

    def _build_status(self) -> tuple[QStackedWidget, PaintedLabel]:
        """Make what describes the selected tracks, or follows a run, and says what to do next."""
        self.about, self.next_step = PaintedLabel(), PaintedLabel(2, opacity=0.7)
        self._progress = progress_bar("You can go on looking; edits wait until it is done")
        self._status = QStackedWidget()
        self._status.addWidget(self.about)
        self._status.addWidget(self._progress)
        self._status.setFixedHeight(self.about.sizeHint().height())
        return self._status, self.next_step

    def _build_edits(self) -> list[QLayout]:
        self.edits = {edit: FlatButton(text) for edit, text, _ in _EDITS}
        for edit, widget in self.edits.items():
            widget.clicked.connect(partial(self.edit_requested.emit, edit.value))
        widgets = list(self.edits.values())
        return [row(*widgets[:3]), row(*widgets[3:])]

    def _build_proposals(self) -> tuple[PaintedLabel, QLayout]:
        self.proposal = PaintedLabel()
        self.go, self.confirm, self.reject = (
            button(text, "", signal.emit)
            for text, signal in (
                ("Go to", self.go_requested),
                ("Confirm", self.confirm_requested),
                ("Reject", self.reject_requested),
            )
        )
        self.confirm_all = button(
            "Confirm all",
            "Confirm all proposed divisions; each is a step that can be undone",
            self.confirm_all_requested.emit,
        )
        for widget, tooltip, command in (
            (self.go, "Show where this division is proposed; again: the next one", "next_division"),
            (self.confirm, "The object divides here", "confirm_division"),
            (self.reject, "It does not divide here: do not propose it again", "reject_division"),
        ):
            self.texts.add(widget.setToolTip, tooltip, command)
        return self.proposal, row(self.go, self.confirm, self.reject, self.confirm_all)

    def _ask_for_file(self) -> None:
        names = name_filter("Tracks", TRACK_SUFFIXES)
        name, _ = QFileDialog.getOpenFileName(self, "Link by tracks", self._folder, names)
        self._import(name)

    def _ask_for_folder(self) -> None:
        self._import(QFileDialog.getExistingDirectory(self, "Link by tracks", self._folder))

    def _import(self, name: str) -> None:
        if name:
            self._folder = str(Path(name).parent)
            self.import_requested.emit(Path(name))

    # What is shown -----------------------------------------------------------------------------

    def show_layer(self, refusal: str | None, *, is_shown: bool = False) -> None:
        """Show whether tracks are shown in the view.

        With a refusal, they cannot be; None where there is none.
        """
        self.shown.setChecked(is_shown)
        self.shown.setEnabled(not refusal)
        self.shown.setToolTip(refusal or "Show the tracks as a layer; the colors are lineages")

    def show_state(
        self,
        state: TracksState,
        selection: TrackSelection,
        division: ProposedDivision | None,
        propagation: StackRun | None = None,
    ) -> None:
        """Show the selected tracks, what can be done with them, and the division in question.

        Or how far they are linked, or objects propagated.
        """
        run = state.run
        self._is_linking = run is not None
        self._status.setCurrentIndex(_IDLE if run is None and propagation is None else _BUSY)
        command = "" if selection.tracks or not len(selection.lineages) else "select_object"
        self.texts.add(self.about.set_text, _described(selection), command, "or {}")
        self.next_step.set_text("Edits wait for the links." if run else _hint(selection))
        if propagation is not None and run is None:
            text = f"Propagating: {propagation.summary}"
            show_count(self._progress, propagation.done, propagation.total, text)
            self.next_step.set_text("To stop, press Esc, or Stop on the page Slices.")
        if run is not None:
            measured = f"{run.done} of {run.total} frames"
            text = "Linking…" if run.done == run.total else measured
            text = "Stopping…" if run.is_stopping else text
            show_count(self._progress, run.done, run.total, text)
        self._show_link(run, is_empty=not len(selection.lineages))
        for edit, _, tooltip in _EDITS:
            reason = selection.refusal(edit)
            self.edits[edit].setEnabled(not reason and run is None)
            command = "" if reason else COMMANDS.get(edit, "")
            self.texts.add(self.edits[edit].setToolTip, reason or tooltip, command)
        self.proposals.setVisible(bool(state.divisions))
        if division is not None:
            self.proposal.set_text(_proposed(state, division))
        for widget in (self.confirm, self.confirm_all, self.reject):
            widget.setEnabled(run is None)

    def _show_link(self, run: LinkRun | None, *, is_empty: bool) -> None:
        """Show whether frames can be linked, or that stopped."""
        self.link.setText("Link frames" if run is None else "Stop")
        if run is not None:
            self.link.setEnabled(not run.is_stopping)
            self.link.setToolTip("Stop to link, and change nothing")
        else:
            self.link.setEnabled(not is_empty)
            self.link.setToolTip(
                "Segment objects in each frame first: propagate them, or find everything"
                if is_empty
                else "Make objects of separate frames tracks, and propose divisions; one undo"
            )


def _described(selection: TrackSelection) -> str:
    """Return in words what the buttons act on."""
    tracks = selection.tracks
    if not tracks:
        count = len(selection.lineages)
        return f"{count} tracks: select some in the table" if count else "No tracks yet"
    if len(tracks) > 1:
        return "Objects " + ", ".join(str(track.label_id) for track in tracks)
    return _track_text(tracks[0], selection.lineages.children_of(tracks[0].label_id))


def _hint(selection: TrackSelection) -> str:
    """Return what can be done with the selected tracks, or why they cannot be edited."""
    count = len(selection.tracks)
    if not count:
        is_empty = not len(selection.lineages)
        return "" if is_empty else "Select one to cut, divide or end it, two to join."
    names = {edit: text for edit, text, _ in _EDITS}
    dead: dict[str, list[str]] = {}
    for edit in _EDITS_OF.get(count, (TrackEdit.DIVIDE,)):
        if reason := selection.refusal(edit):
            dead.setdefault(reason, []).append(names[edit])
    hints = [f"{', '.join(texts)} · {reason}" for reason, texts in dead.items()]
    return ". ".join(hints) if hints else _HINTS[count]


def _track_text(track: Track, children: tuple[int, ...]) -> str:
    is_short = track.first == track.last
    frames = f"frame {track.first}" if is_short else f"frames {track.first}-{track.last}"
    parts = [f"Object {track.label_id} · {frames}"]
    if track.parent_id:
        parts.append(f"from {track.parent_id}")
    if children:
        parts.append(f"divides into {', '.join(map(str, children))}")
    return " · ".join(parts)


def _proposed(state: TracksState, division: ProposedDivision) -> str:
    count, place = len(state.divisions), state.divisions.index(division) + 1
    proposals = "1 proposed division" if count == 1 else f"{place} of {count} proposed divisions"
    return f"{proposals} · frame {division.frame}"
