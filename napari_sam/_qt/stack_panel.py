"""The panel for objects of several slices: their slices, and what carries them on."""

from functools import partial
from typing import Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QLabel, QLayout, QMenu, QSizePolicy, QStackedWidget, QWidget

from napari_sam._qt.building import (
    ShortcutTexts,
    button,
    check_box,
    fill,
    keep_size,
    progress_bar,
    row,
    show_count,
    slice_box,
)
from napari_sam._qt.flat_button import FlatButton
from napari_sam._qt.painted_labels import PaintedLabel
from napari_sam._qt.slice_strip import SliceStrip
from napari_sam.session.propagation.stack_editing import StackState

BACKWARD, BOTH_WAYS, FORWARD = -1, 0, 1
_DIRECTIONS: Final = (
    (BACKWARD, "propagate_backward", "Carry the object on toward the first slice"),
    (BOTH_WAYS, "propagate", "Carry the object through the stack, both ways"),
    (FORWARD, "propagate_forward", "Carry the object on toward the last slice"),
)
_NO_OBJECT: Final = "Segment an object, or select one in the table"
_MEMORY: Final = (
    "On: objects are carried on by what the model remembers of them in other slices (Memory). "
    "Off: by where they lie in the slice before and the borders of the image (Projection)"
)
_OF_TRACKS: Final = "Which objects are the same"
_IDLE, _BUSY, _ASKING = range(3)
_SLICE_BOX_PX: Final = 34
_ICON_PX: Final = 37
_VIEW_GAP_PX: Final = 4


class StackPanel(QWidget):
    """Shows the slices of an object, and requests that objects be carried on or corrected.

    Everything keeps its place, whatever is going on.
    """

    propagate_requested = Signal(int)
    """The direction: `BACKWARD`, `BOTH_WAYS` or `FORWARD`."""
    all_requested = Signal(int)
    """The direction in which to carry on all objects of the shown slice."""
    continue_requested = Signal(int)
    """The step to the slice, 1 or -1."""
    correct_requested = Signal()
    clear_requested = Signal()
    weak_requested = Signal()
    stop_requested = Signal()
    go_on_requested = Signal()
    dismiss_requested = Signal()
    frames_toggled = Signal(bool)
    """Whether the slices are frames."""
    slices_left = Signal()
    """The tracks are shown now rather than the slices."""

    def __init__(self, texts: ShortcutTexts) -> None:
        super().__init__()
        self.texts = texts
        self._state, self._is_new, self._n_selected = StackState(), False, 0
        self._has_frames = False
        self.strip = SliceStrip()
        head, self._body = self._build_head(), QWidget()
        self._tracks: QWidget | None = None
        parts = self._build_status(), self.strip, self._build_propagate(), self._build_steps()
        fill(self._body, *parts)
        fill(self, head, self._body)
        self._choose_page()
        self._show()

    def _build_status(self) -> QStackedWidget:
        """Make what describes the object, follows a run, or asks, all in one place."""
        self._about, self._next_step = PaintedLabel(), PaintedLabel(opacity=0.7)
        self._progress = progress_bar("You can go on working meanwhile")
        self._stop = button("Stop", "")
        stop = "Stop, and keep the slices so far"
        self.texts.add(self._stop.setToolTip, stop, "stop_propagating")
        self._stop.clicked.connect(self.stop_requested)
        self._question = PaintedLabel(lines=2)
        go_on = button("Continue", "Carry the object on, as far again", self.go_on_requested.emit)
        dismiss = button("Stop here", "Leave the object as it is", self.dismiss_requested.emit)
        self._pages = QStackedWidget()
        idle, busy, asking = QWidget(), QWidget(), QWidget()
        fill(idle, self._about, self._next_step)
        idle.layout().setSpacing(0)
        fill(busy, row(self._progress, self._stop, stretch=self._progress))
        fill(asking, row(self._question, go_on, dismiss, stretch=self._question))
        for page in (idle, busy, asking):
            self._pages.addWidget(page)
        self._pages.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        return self._pages

    def _build_propagate(self) -> QLayout:
        buttons = (
            FlatButton(icon="all_left"),
            FlatButton("Propagate"),
            FlatButton(icon="all_right"),
        )
        for widget, (direction, command, _) in zip(buttons, _DIRECTIONS, strict=True):
            widget.clicked.connect(partial(self.propagate_requested.emit, direction))
            self.texts.add_key(widget.set_key, command)
        self._directions = buttons
        buttons[0].setFixedWidth(_ICON_PX)
        buttons[2].setFixedWidth(_ICON_PX)
        self._first, self._last = (
            slice_box(f"The {end} slice to propagate to", _SLICE_BOX_PX)
            for end in ("first", "last")
        )
        self._first.valueChanged.connect(self._last.setMinimum)
        self._last.valueChanged.connect(self._first.setMaximum)
        self._all = FlatButton(icon="more", tooltip="Propagate all objects on this slice")
        self._all.set_menu(self._build_menu())
        ends = self._first, QLabel("to"), self._last
        return row(*buttons, *ends, self._all, stretch=buttons[1])

    def add_tracks(self, widget: QWidget) -> None:
        """Add what is shown in a film in place of the slices."""
        self._tracks = widget
        self.layout().addWidget(widget)
        self._choose_page()

    def _build_head(self) -> QLayout:
        """Make the choice whether slices are frames, and that between them and tracks."""
        self.frames = check_box(
            "Slices are frames", "The slices are frames of a film: its objects are tracks"
        )
        self.frames.toggled.connect(self.frames_toggled)
        tooltips = "The slices of an object, frame by frame", _OF_TRACKS
        self.views = [
            FlatButton(text, tooltip, checkable=True)
            for text, tooltip in zip(("Slices", "Tracks (9)"), tooltips, strict=True)
        ]
        for number, widget in enumerate(self.views):
            widget.clicked.connect(partial(self._choose_page, number))
            widget.keep_whole()
            keep_size(widget)
        self.show_proposals(0)
        self.memory = check_box("Memory", _MEMORY)
        keep_size(self.memory)
        layout = row(self.frames, self.memory, *self.views)
        layout.setSpacing(_VIEW_GAP_PX)
        for box in (self.frames, self.memory):
            layout.setStretchFactor(box, 0)
        return layout

    def _choose_page(self, number: int | None = None) -> None:
        """Show the slices, or the tracks of a film."""
        number = int(self.views[1].isChecked()) if number is None else number
        for index, widget in enumerate(self.views):
            widget.setChecked(index == number)
            widget.setVisible(self._has_frames)
        was_shown, is_shown = not self._body.isHidden(), not self._has_frames or number == 0
        self._body.setVisible(is_shown)
        if was_shown and not is_shown:
            self.slices_left.emit()
        if self._tracks is not None:
            self._tracks.setVisible(self._has_frames and number == 1)

    def _build_menu(self) -> QMenu:
        menu = QMenu(self)
        for direction, text in (
            (BOTH_WAYS, "both ways"),
            (FORWARD, "forward"),
            (BACKWARD, "backward"),
        ):
            action = menu.addAction(f"Propagate all objects on this slice {text}")
            action.triggered.connect(partial(self._on_all, direction))
        return menu

    def _on_all(self, direction: int) -> None:
        self.all_requested.emit(direction)

    def _build_steps(self) -> QLayout:
        self._back, self._next = FlatButton(icon="left"), FlatButton(icon="right")
        for widget, step, command in (
            (self._back, -1, "continue_previous"),
            (self._next, 1, "continue_next"),
        ):
            widget.clicked.connect(partial(self.continue_requested.emit, step))
            self.texts.add_key(widget.set_key, command)
            widget.setFixedWidth(_ICON_PX)
        self._correct = FlatButton("Correct", checkable=True)
        self._correct.clicked.connect(self.correct_requested)
        self._clear = button("Not here", "", self.clear_requested.emit)
        self._weak = button("Next weak", "", self.weak_requested.emit)
        texts = self._correct, self._clear, self._weak
        layout = row(self._back, self._next, *texts)
        for widget in (self._back, self._next):
            layout.setStretchFactor(widget, 0)
        return layout

    # What is shown -----------------------------------------------------------------------------

    def show_state(self, state: StackState, *, is_new: bool, n_selected: int) -> None:
        """Show a stack and what the buttons act on.

        That is an object in progress that is new, several selected objects, or the chosen object.
        """
        if (is_new, n_selected) == (self._is_new, self._n_selected) and state is self._state:
            return
        if state.n_slices != self._state.n_slices:
            self._limit_range(self._state.n_slices - 1, state.n_slices - 1)
        self._state, self._is_new, self._n_selected = state, is_new, n_selected
        self._show()

    def show_film(self, *, has_frames: bool, is_along: bool) -> None:
        """Offer tracks where the image has frames; emphasize the way forward along these."""
        self._directions[2].set_primary(is_along)
        with QSignalBlocker(self.frames):
            self.frames.setChecked(has_frames)
        if has_frames != self._has_frames:
            self._has_frames = has_frames
            self._choose_page()

    def show_memory(self, *, is_offered: bool, is_on: bool) -> None:
        """Offer to carry objects on by memory, with models that have any."""
        self.memory.setVisible(is_offered)
        with QSignalBlocker(self.memory):
            self.memory.setChecked(is_on)

    def show_proposals(self, n_divisions: int) -> None:
        """Show that divisions are proposed."""
        count = "1 division is" if n_divisions == 1 else f"{n_divisions} divisions are"
        proposed = f"; {count} proposed" if n_divisions else ""
        self.views[1].setText(f"Tracks ({n_divisions})" if n_divisions else "Tracks")
        self.views[1].setToolTip(f"{_OF_TRACKS}{proposed}")

    @property
    def limits(self) -> tuple[int | None, int | None]:
        """The first and the last slice to propagate to; None for the ends of the stack."""
        first, last = self._first.value(), self._last.value()
        return first or None, None if last == self._state.n_slices - 1 else last

    def _limit_range(self, former_end: int, end: int) -> None:
        first, last = self._first.value(), self._last.value()
        with QSignalBlocker(self._first), QSignalBlocker(self._last):
            self._last.setRange(0, end)
            self._last.setValue(end if last == former_end else last)
            self._first.setRange(0, self._last.value())
            self._first.setValue(first)
            self._last.setMinimum(self._first.value())

    def _show(self) -> None:
        state = self._state
        has_slices = not self._is_new and self._n_selected < 2
        self.strip.show_stack(state.n_slices, state.slice_index)
        self.strip.show_slices(state.slices if has_slices else None)
        self._about.set_text(self._subject)
        self._next_step.set_text(self._hint)
        self._question.set_text(state.question)
        self._correct.setChecked(state.is_correcting)
        self._pages.setCurrentIndex(_ASKING if state.question else _IDLE)
        if state.run is not None:
            run = state.run
            self._pages.setCurrentIndex(_BUSY)
            show_count(self._progress, run.done, run.total, run.summary)
            self._stop.setEnabled(not run.is_stopping)
        self._enable()

    @property
    def _subject(self) -> str:
        """Return in words what the buttons act on."""
        state = self._state
        if self._n_selected > 1:
            return f"{self._n_selected} selected objects"
        if self._is_new:
            return f"New object · slice {state.slice_index}"
        if state.label_id is None:
            return "No object chosen"
        text, extent = f"Object {state.label_id}", self.strip.object_range
        if state.slices is None or extent is None:
            return text
        first, last = extent
        text += f" · slice {first}" if first == last else f" · slices {first}-{last}"
        weakest = state.slices.weakest
        if weakest is None:
            return text
        return f"{text} · weakest {weakest.slice_index} ({weakest.confidence:.2f})"

    @property
    def _hint(self) -> str:
        state, extent = self._state, self.strip.object_range
        if state.refusal:
            return state.refusal
        if self._n_selected > 1:
            return "Propagate carries all of them on."
        if self._is_new:
            return "Propagating it or going on accepts it."
        if state.label_id is None:
            return f"{_NO_OBJECT}."
        if state.slices is None or extent is None:
            return "Roll the axes (Ctrl+E) to see its slices."
        if extent[0] == extent[1]:
            return "Propagate it, or go on slice by slice."
        if state.is_correcting:
            return "Clicks correct it on any slice; its neighbors follow."
        n_weak = sum(entry.is_weak for entry in state.slices)
        if n_weak:
            slices = "1 weak slice" if n_weak == 1 else f"{n_weak} weak slices"
            return f"{slices}: correct one; its neighbors follow."
        return "Correct any slice; drag the ends to cut or extend."

    def _enable(self) -> None:
        """Enable the buttons that have something to do; the tooltips of others say why not."""
        state, n_slices = self._state, self._state.n_slices
        subject = "" if self._is_new or self._n_selected > 1 or state.label_id else _NO_OBJECT
        subject = state.refusal or subject
        is_single = self._n_selected < 2 or state.refusal
        single = subject if is_single else "Select a single object"
        for widget, (_, command, tooltip) in zip(self._directions, _DIRECTIONS, strict=True):
            self._explain(widget, subject, tooltip, command)
        for widget, index, end, command in (
            (self._back, state.slice_index - 1, "first", "continue_previous"),
            (self._next, state.slice_index + 1, "last", "continue_next"),
        ):
            reason = single if 0 <= index < n_slices else f"This is the {end} slice"
            tooltip = f"Continue the object in slice {index}, and show that slice"
            self._explain(widget, reason, tooltip, command)
        if self._is_new and not state.refusal:
            single = "Accept the new object first"
        tooltip = (
            "Clicks correct this object, or add it to slices; the slices next to it follow. "
            "Otherwise, clicks begin other objects."
        )
        self._explain(self._correct, single, tooltip, "correct_slice")
        tooltip = (
            "The object is not on this slice: remove it here, and correct the slices next to it.\n"
            "It ends here unless a slice beyond is annotated: to clear this slice only,\n"
            "first correct one beyond it. A background click in its middle does the same"
        )
        self._explain(self._clear, single, tooltip, "clear_slice")
        weakest = None if state.slices is None else state.slices.weakest
        reason = single or ("" if weakest else "No slice of this object is computed yet")
        self._explain(
            self._weak, reason, "Go to the weakest slice; again: the next weak one", "next_weak"
        )

    def _explain(self, widget: FlatButton, reason: str, tooltip: str, command: str) -> None:
        widget.setEnabled(not reason)
        self.texts.add(widget.setToolTip, reason or tooltip, "" if reason else command)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Stop a run by Escape."""
        if event.key() == Qt.Key.Key_Escape and self._state.run is not None:
            self.stop_requested.emit()
        else:
            super().keyPressEvent(event)
