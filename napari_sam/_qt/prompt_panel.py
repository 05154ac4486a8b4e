"""The tools that draw prompts, their polarity, and what happens on a click."""

from dataclasses import dataclass
from typing import Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_sam._qt.building import ShortcutTexts, check_box, fill
from napari_sam._qt.colors import BACKGROUND_COLOR, FOREGROUND_COLOR
from napari_sam._qt.flat_button import FlatButton
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND
from napari_sam.session.state import NO_IMAGE_HINT, SessionState

_TOOL_HEIGHT_PX: Final = 32
_LOW_TOOL_PX: Final = 28
_GAP_PX: Final = 8
_LOW_GAP_PX: Final = 4
_NARROWEST_TOOL_PX: Final = 28
_WIDEST_TOOL_PX: Final = 48
_SPACING_PX: Final = 4


@dataclass(frozen=True)
class Tool:
    """What draws a kind of prompt."""

    name: str  # of the shape; "points" for clicks
    title: str
    help: str  # what to do with it
    hint: str  # what to do next
    open_hint: str = ""  # the same while a shape has been begun by a click


TOOLS: Final = (
    Tool(
        "points",
        "Point",
        "Click on the object; the masks are updated with each click",
        "Click on an object.",
    ),
    Tool("rectangle", "Box", "Drag a box around the object", "Drag a box around an object."),
    Tool(
        "lasso",
        "Lasso",
        "Draw an outline with the mouse button pressed; the mask ends at the outline",
        "Draw an outline around an object with the mouse button pressed.",
        "Move around the object, then click to close the outline. Esc closes it, too.",
    ),
    Tool(
        "polygon",
        "Polygon",
        "Click the corners of an outline and double-click to finish; the mask ends at the outline",
        "Click the corners of an outline around an object, then double-click.",
        "Click the next corner. A double click or Esc closes the outline.",
    ),
    Tool(
        "ellipse",
        "Ellipse",
        "Drag an ellipse around the object; the mask ends at its outline",
        "Drag an ellipse around an object.",
    ),
    Tool(
        "scribble",
        "Scribble",
        "Scribble on the object or, as background, on what does not belong to it",
        "Scribble on an object.",
        "Move along the object, then click to end the scribble. Esc ends it, too.",
    ),
    Tool(
        "line",
        "Line",
        "Drag a line along the object or, as background, along what does not belong to it",
        "Drag a line along an object.",
    ),
)
TOOL_HINTS: Final = {tool.name: tool.hint for tool in TOOLS}
"""What to do next, by the tool in use."""
OPEN_HINTS: Final = {tool.name: tool.open_hint for tool in TOOLS}
"""The same while a shape has been begun by a click."""


class PromptPanel(QWidget):
    """Buttons for the tools and the brush, the polarity of the next prompt, and two check boxes."""

    points_requested = Signal()
    shape_requested = Signal(str)
    """The shape to draw: rectangle, ellipse, polygon, lasso, scribble or line."""
    polarity_requested = Signal(int)
    brush_requested = Signal()
    """The brush is to be taken up or put away."""

    def __init__(self) -> None:
        super().__init__()
        self.texts = ShortcutTexts()
        tooltip = "While you move the mouse, show the mask that a click there would give"
        self.hover = check_box("", tooltip)
        self.texts.add(self.hover.setText, "preview", "hover")
        self.accept_on_click = check_box(
            "accept at once",
            "For easy images: accept the preselected mask with an object's first click or shape;"
            "\none Undo takes back both",
        )
        self._has_image: bool | None = None
        tools = QHBoxLayout()
        tools.setSpacing(_SPACING_PX)
        self._tools = {tool.name: self._build_tool(tool) for tool in TOOLS}
        self._brush = self._build_brush()
        self._foreground = self._build_polarity("plus", FOREGROUND)
        self._background = self._build_polarity("minus", BACKGROUND)
        for button in (*self._tools.values(), self._brush):
            tools.addWidget(button, 1)
        tools.addSpacing(2 * _SPACING_PX)
        for button in (self._foreground, self._background):
            tools.addWidget(button, 1)
        tools.addStretch(0)
        choices = QHBoxLayout()
        choices.setSpacing(16)
        for box in (self.accept_on_click, self.hover):
            choices.addWidget(box)
        choices.addStretch(1)
        fill(self, tools, choices)
        self.set_low(False)
        self.show_polarity(FOREGROUND)
        self.show_state(SessionState())

    def _build_tool(self, tool: Tool) -> FlatButton:
        button = self._build_button(tool.name)
        command = f"tool_{tool.name}"
        self.texts.add(button.setToolTip, f"{tool.title}: {tool.help}", command)
        self.texts.add_key(button.set_key, command)
        button.clicked.connect(lambda: self._on_tool_clicked(tool.name))
        return button

    def _build_brush(self) -> FlatButton:
        button = self._build_button("brush")
        tooltip = "Brush: paint on the selected object or on a new one; again: put the brush away"
        self.texts.add(button.setToolTip, tooltip, "brush")
        self.texts.add_key(button.set_key, "brush")
        button.clicked.connect(self._on_brush_clicked)
        return button

    def _build_polarity(self, icon: str, label: int) -> FlatButton:
        color = FOREGROUND_COLOR if label == FOREGROUND else BACKGROUND_COLOR
        button = self._build_button(icon, color=color)
        meaning = (
            "Add: the next prompt marks what belongs to the object"
            if label == FOREGROUND
            else "Remove: the next prompt marks what does not belong to the object"
        )
        self.texts.add(button.setToolTip, meaning, "flip", "{} switches")
        button.clicked.connect(lambda: self._on_polarity_clicked(label))
        return button

    @staticmethod
    def _build_button(icon: str, **options: object) -> FlatButton:
        button = FlatButton("", icon=icon, checkable=True, **options)  # type: ignore[arg-type]
        button.setFixedHeight(_TOOL_HEIGHT_PX)
        button.setMinimumWidth(_NARROWEST_TOOL_PX)
        button.setMaximumWidth(_WIDEST_TOOL_PX)
        return button

    # What is shown -----------------------------------------------------------------------------

    def set_low(self, is_low: bool) -> None:
        """Take less height, or the usual one."""
        self.layout().setSpacing(_LOW_GAP_PX if is_low else _GAP_PX)
        for button in (*self._tools.values(), self._brush, self._foreground, self._background):
            button.setFixedHeight(_LOW_TOOL_PX if is_low else _TOOL_HEIGHT_PX)

    def show_state(self, state: SessionState) -> None:
        """Enable the tools if there is an image to use them on."""
        if state.has_image == self._has_image:
            return
        self._has_image = state.has_image
        for widget in (*self._tools.values(), self._brush, self._foreground, self._background):
            widget.setEnabled(state.has_image)
        # A disabled button shows the tooltip of what is around it where it has none of its own.
        self.setToolTip("" if state.has_image else NO_IMAGE_HINT)

    def show_tool(self, name: str) -> None:
        """Show which tool is in use; "": none."""
        for tool_name, tool in self._tools.items():
            tool.setChecked(tool_name == name)

    def show_brush(self, *, is_used: bool) -> None:
        """Show whether the brush is in use."""
        self._brush.setChecked(is_used)

    def show_hover(self, on: bool) -> None:
        """Show whether the preview under the cursor is on."""
        self.hover.setChecked(on)

    def show_accept_on_click(self, is_on: bool) -> None:
        """Show whether the first click of an object accepts it."""
        with QSignalBlocker(self.accept_on_click):
            self.accept_on_click.setChecked(is_on)

    def show_polarity(self, label: int) -> None:
        """Show the point label of the next click."""
        self._foreground.setChecked(label == FOREGROUND)
        self._background.setChecked(label == BACKGROUND)

    # What is asked for ---------------------------------------------------------------------------

    def _on_tool_clicked(self, name: str) -> None:
        self._tools[name].setChecked(True)  # a second press does not put it away
        if name == "points":
            self.points_requested.emit()
        else:
            self.shape_requested.emit(name)

    def _on_brush_clicked(self) -> None:
        self._brush.setChecked(not self._brush.isChecked())  # it may be refused
        self.brush_requested.emit()

    def _on_polarity_clicked(self, label: int) -> None:
        self.show_polarity(label)
        self.polarity_requested.emit(label)
