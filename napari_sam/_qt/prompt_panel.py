"""The prompts: points, boxes and other shapes."""

from typing import Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGroupBox, QLayout, QPushButton, QRadioButton, QWidget

from napari_sam._qt.building import ShortcutTexts, button, check_box, fill, form, row
from napari_sam._qt.collapsible import CollapsibleSection
from napari_sam._qt.layer_combo import LayerCombo
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND
from napari_sam.session.state import SessionState

_SHAPES: Final = (
    ("ellipse", "Drag an ellipse around the object; the mask ends at its outline"),
    (
        "polygon",
        "Click the corners of an outline and double-click to finish; the mask ends at the outline",
    ),
    ("lasso", "Draw an outline with the mouse button pressed; the mask ends at the outline"),
    ("scribble", "Scribble on the object or, as background, on what does not belong to it"),
    ("line", "Drag a line along the object or, as background, along what does not belong to it"),
)


TOOL_HINTS: Final = {
    "points": "Click on an object.",
    "rectangle": "Drag a rectangle around an object.",
    "ellipse": "Drag an ellipse around an object.",
    "polygon": "Click the corners of an outline around an object, then double-click.",
    "lasso": "Draw an outline around an object with the mouse button pressed.",
    "scribble": "Scribble on an object.",
    "line": "Drag a line along an object.",
}
"""What to do next, by the tool in use."""


class PromptPanel(QGroupBox):
    """Buttons for points and shapes, the polarity of the next click, and options."""

    shape_requested = Signal(str)
    """The shape to draw: rectangle, ellipse, polygon, lasso, scribble or line."""
    polarity_requested = Signal(int)

    def __init__(self) -> None:
        super().__init__("Prompts")
        self.texts = ShortcutTexts()
        tooltip = "While you move the mouse, show the mask that a click there would give"
        self.hover = check_box("", tooltip)
        self.texts.add(self.hover.setText, "preview under the cursor", "hover")
        self.accept_on_click = check_box(
            "accept on click",
            "For easy images: accept the preselected mask with an object's first click or shape;"
            "\none Undo takes back both",
        )
        tools = self._build_tools()
        shapes = row(*(self._shape_button(*shape) for shape in _SHAPES))
        for tool in self._tools.values():
            tool.setCheckable(True)
        how = self._build_polarity(), self.hover, self.accept_on_click
        fill(self, tools, shapes, *how, self._build_options())
        self.show_polarity(FOREGROUND)

    def _build_tools(self) -> QLayout:
        self.points = button(
            "Click points",
            "Click on the object in the image; the masks are updated with each click",
        )
        box = button(
            "Draw box",
            "Drag a rectangle around the object",
            lambda: self.shape_requested.emit("rectangle"),
        )
        self._tools = {"points": self.points, "rectangle": box}
        self.clear = button("Clear", "")
        self.texts.add(self.clear.setToolTip, "Remove the prompts of this object", "clear")
        return row(self.points, box, self.clear)

    def _shape_button(self, shape: str, tooltip: str) -> QPushButton:
        tool = button(shape.capitalize(), tooltip, lambda: self.shape_requested.emit(shape))
        # As wide as the word: five in a row must not widen the dock.
        tool.setStyleSheet("padding-left: 2px; padding-right: 2px;")
        self._tools[shape] = tool
        return tool

    def _build_polarity(self) -> QLayout:
        self._foreground = QRadioButton("foreground")
        self._background = QRadioButton("background")
        for radio, label, meaning in (
            (self._foreground, FOREGROUND, "belongs to the object"),
            (self._background, BACKGROUND, "does not belong to the object"),
        ):
            text = f"The next click or scribble marks what {meaning}"
            self.texts.add(radio.setToolTip, text, "flip", "{} switches")
            radio.clicked.connect(lambda _, label=label: self.polarity_requested.emit(label))
        return row(self._foreground, self._background)

    def _build_options(self) -> CollapsibleSection:
        tooltip = "Read prompts from your own {} layer, which is never changed"
        self.points_combo = LayerCombo("SAM points", tooltip.format("Points"))
        self.boxes_combo = LayerCombo("SAM boxes", tooltip.format("Shapes"))
        self.feedback = check_box(
            "refine the previous mask",
            "Each click corrects the shown mask instead of starting from scratch",
            checked=True,
        )
        contents = QWidget()
        layers = (("points", self.points_combo), ("boxes", self.boxes_combo))
        form(*layers, (self.feedback,), parent=contents)
        about = "The layers that prompts are read from"
        return CollapsibleSection(contents, about, "Prompt layers and options")

    def show_state(self, state: SessionState) -> None:
        """Enable *Clear* if there are prompts."""
        self.clear.setEnabled(not state.prompts.is_empty)

    def show_tool(self, name: str) -> None:
        """Show which tool is in use; "": none."""
        for tool_name, tool in self._tools.items():
            tool.setChecked(tool_name == name)

    def show_hover(self, on: bool) -> None:
        """Show whether the preview under the cursor is on."""
        self.hover.setChecked(on)

    def show_polarity(self, label: int) -> None:
        """Show the point label of the next click."""
        self._foreground.setChecked(label == FOREGROUND)
        self._background.setChecked(label == BACKGROUND)
