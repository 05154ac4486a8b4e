"""How the user says where the object is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam._qt.collapsible import CollapsibleSection
from napari_sam._qt.layer_combo import LayerCombo
from napari_sam._qt.shortcut_texts import ShortcutTexts
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND
from napari_sam.session.state import SessionState

_SHAPES: Final = (
    ("ellipse", "Drag an ellipse around the object; its mask ends there"),
    ("polygon", "Click corners around the object, a double click ends; its mask ends there"),
    ("lasso", "Draw around the object with the button held; its mask ends there"),
    ("scribble", "Draw along the object, or in background along what does not belong to it"),
    ("line", "Drag a line along the object, or in background along what is not of it"),
)


class PromptPanel(QGroupBox):
    """Buttons for clicks and shapes, the next click's polarity, and what is read from where."""

    points_requested = Signal()
    boxes_requested = Signal()
    shape_requested = Signal(str)
    """With what is to be drawn: ellipse, polygon, lasso, scribble or line."""
    polarity_requested = Signal(int)
    clear_requested = Signal()
    feedback_requested = Signal(bool)
    hover_requested = Signal(bool)
    accept_on_click_requested = Signal(bool)

    def __init__(self) -> None:
        super().__init__("Prompts")
        points = QPushButton("Click points")
        points.setToolTip("Click on the object in the image; masks follow each click")
        boxes = QPushButton("Draw box")
        boxes.setToolTip("Drag a rectangle around the object")
        self._clear = QPushButton("Clear")
        self._keyed = keyed = ShortcutTexts()
        keyed.add(self._clear.setToolTip, "Remove the prompts of this object", "clear")
        self._foreground = QRadioButton("foreground")
        self._background = QRadioButton("background")
        for button, label, name in (
            (self._foreground, FOREGROUND, "belongs to the object"),
            (self._background, BACKGROUND, "does not belong to it"),
        ):
            text = f"The next click or scribble marks what {name}"
            keyed.add(button.setToolTip, text, "flip", "{} flips it")
            button.clicked.connect(lambda _, label=label: self.polarity_requested.emit(label))
        group = QButtonGroup(self)
        group.addButton(self._foreground)
        group.addButton(self._background)
        self.show_polarity(FOREGROUND)
        points.clicked.connect(lambda: self.points_requested.emit())
        boxes.clicked.connect(lambda: self.boxes_requested.emit())
        self._clear.clicked.connect(lambda: self.clear_requested.emit())
        layout = QVBoxLayout(self)
        layout.addLayout(_row(points, boxes, self._clear))
        layout.addLayout(_row(*(self._shape_button(*one) for one in _SHAPES)))
        layout.addLayout(_row(self._foreground, self._background))
        self._hover = QCheckBox()
        keyed.add(self._hover.setText, "preview under the cursor", "hover")
        self._hover.setToolTip("Show what a click would give while the mouse moves over the image")
        self._hover.toggled.connect(self.hover_requested.emit)
        layout.addWidget(self._hover)
        accept_on_click = QCheckBox("accept on click")
        accept_on_click.setToolTip(
            "For easy images: the first click on an object takes the preselected mask at once;"
            " one Undo takes object and click back"
        )
        accept_on_click.toggled.connect(self.accept_on_click_requested.emit)
        layout.addWidget(accept_on_click)
        layout.addWidget(self._make_options())

    def _shape_button(self, shape: str, advice: str) -> QPushButton:
        button = QPushButton(shape.capitalize())
        button.setToolTip(advice)
        # As wide as the word: five in a row must not widen the dock.
        button.setStyleSheet("padding-left: 2px; padding-right: 2px;")
        button.clicked.connect(lambda: self.shape_requested.emit(shape))
        return button

    def _make_options(self) -> QWidget:
        self.points_combo = LayerCombo(
            "SAM points", "A Points layer of your own as prompts; it is read, never changed"
        )
        self.boxes_combo = LayerCombo(
            "SAM boxes", "A Shapes layer of your own as prompts; it is read, never changed"
        )
        feedback = QCheckBox("build on the mask before")
        feedback.setChecked(True)
        feedback.setToolTip("Each click corrects the mask that was shown, rather than restarting")
        feedback.toggled.connect(self.feedback_requested.emit)
        form_widget = QWidget()
        form = QFormLayout(form_widget)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("points", self.points_combo)
        form.addRow("boxes", self.boxes_combo)
        form.addRow(feedback)
        options = CollapsibleSection(form_widget, "Which layers prompts are read from")
        options.set_title("Prompt layers and options")
        return options

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Name these keys in the texts, by command."""
        self._keyed.show(keys)

    def show_state(self, state: SessionState) -> None:
        """Show whether there is something to clear."""
        self._clear.setEnabled(not state.prompts.is_empty)

    def show_hover(self, on: bool) -> None:
        """Show whether the mask under the cursor is previewed."""
        self._hover.setChecked(on)

    def show_polarity(self, label: int) -> None:
        """Show what the next click means."""
        self._foreground.setChecked(label == FOREGROUND)
        self._background.setChecked(label == BACKGROUND)


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, 1)
    return row
