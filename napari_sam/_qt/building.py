"""Short ways to build the widgets and layouts that all panels are made of."""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Final, TypeAlias

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLayout,
    QLineEdit,
    QProgressBar,
    QSpinBox,
    QTreeWidget,
    QVBoxLayout,
    QWidget,
)

from napari_sam._qt.flat_button import FlatButton
from napari_sam._qt.spoken_names import spoken_name

Part: TypeAlias = QWidget | QLayout
_COMBO_LETTERS: Final = 3
SPACING_PX: Final = 6
"""Between the parts of a panel."""


def button(text: str, tooltip: str, action: Callable[[], object] | None = None) -> FlatButton:
    """Return a button that starts an action, or is connected later."""
    return FlatButton(text, tooltip, action)


def line_edit(placeholder: str, tooltip: str = "") -> QLineEdit:
    """Return a field for a line of text, named by what it asks for."""
    return QLineEdit(placeholderText=placeholder, toolTip=tooltip, accessibleName=placeholder)


def check_box(text: str, tooltip: str, *, checked: bool = False) -> QCheckBox:
    """Return a check box."""
    return QCheckBox(text, toolTip=tooltip, checked=checked)


def combo_box(tooltip: str, entries: Iterable[tuple[str, str]] = ()) -> QComboBox:
    """Return a combo box of entries, each with the tooltip after it; none of them widens it."""
    combo = QComboBox(toolTip=tooltip, minimumContentsLength=_COMBO_LETTERS)
    combo.setAccessibleName(spoken_name(tooltip))
    policies = QComboBox.SizeAdjustPolicy
    combo.setSizeAdjustPolicy(policies.AdjustToMinimumContentsLengthWithIcon)
    for index, (text, entry_tooltip) in enumerate(entries):
        combo.addItem(text)
        combo.setItemData(index, entry_tooltip, Qt.ItemDataRole.ToolTipRole)
    return combo


def slice_box(tooltip: str, width_px: int) -> QSpinBox:
    """Return a narrow spin box for a slice, of which there is only the first as yet."""
    box = QSpinBox(toolTip=tooltip, maximum=0, accessibleName=spoken_name(tooltip))
    box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
    # napari's style makes it twice as wide.
    box.setStyleSheet(f"min-width: {width_px}px; max-width: {width_px}px; padding: 1px 4px;")
    return box


class ShortcutTexts:
    """Texts, each with the command whose key it names, if the command has one."""

    def __init__(self) -> None:
        self._texts: dict[Callable[[str], object], tuple[str, str, str]] = {}
        self._key_setters: dict[Callable[[str], object], str] = {}
        self._keys: Mapping[str, str] = {}

    def add(
        self, set_text: Callable[[str], object], text: str, command: str, form: str = "{}"
    ) -> None:
        """Add a text, or replace it; `form` says how the key is named in brackets."""
        self._texts[set_text] = text, command, form
        self._show(set_text)

    def add_key(self, set_key: Callable[[str], object], command: str) -> None:
        """Have the mere name of a command's key set, "" without one."""
        self._key_setters[set_key] = command
        set_key(self._keys.get(command, ""))

    def show(self, keys: Mapping[str, str]) -> None:
        """Show these keys, by command; "" stands for no key."""
        self._keys = keys
        for set_key, command in self._key_setters.items():
            set_key(keys.get(command, ""))
        for set_text in self._texts:
            self._show(set_text)

    def _show(self, set_text: Callable[[str], object]) -> None:
        text, command, form = self._texts[set_text]
        key = self._keys.get(command, "")
        set_text(f"{text} ({form.format(key)})" if key else text)


def progress_bar(tooltip: str) -> QProgressBar:
    """Return a progress bar in percent."""
    return QProgressBar(minimum=0, maximum=100, toolTip=tooltip)


def show_count(bar: QProgressBar, done: int, total: int, text: str) -> None:
    """Show how many of some things are done, and say so in words."""
    bar.setRange(0, max(1, total))
    bar.setValue(done)
    bar.setFormat(text)


def keep_size(widget: QWidget) -> None:
    """Have a widget keep its place while it is hidden, so that nothing else moves."""
    policy = widget.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    widget.setSizePolicy(policy)


def follow_each_other(*widgets: QWidget) -> None:
    """Have the Tab key go through some widgets in this order, as when they were made later."""
    for before, after in pairwise(widgets):
        QWidget.setTabOrder(before, after)


def heading(text: str) -> QLabel:
    """Return the title of a group of fields."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    label.setContentsMargins(0, 4, 0, 0)
    return label


def rest_timer(parent: QObject, rest_ms: int, on_rest: Callable[[], None]) -> QTimer:
    """Return a timer that acts once it has not been started again for a while."""
    return QTimer(parent, singleShot=True, interval=rest_ms, timeout=on_rest)


def swatch(color: str, size_px: int) -> QIcon:
    """Return a square icon that has the same color in all states of a widget."""
    pixmap = QPixmap(size_px, size_px)
    pixmap.fill(QColor(color))
    icon = QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled, QIcon.Mode.Selected):
        icon.addPixmap(pixmap, mode)
    return icon


def table(name: str, *titles: str) -> QTreeWidget:
    """Return an empty table with these columns, as wide as their contents."""
    rows = QTreeWidget(
        accessibleName=name,
        rootIsDecorated=False,
        uniformRowHeights=True,
        editTriggers=QTreeWidget.EditTrigger.NoEditTriggers,
    )
    rows.setHeaderLabels(titles)
    rows.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    return rows


def row(*parts: Part, stretch: Part | None = None) -> QHBoxLayout:
    """Return a row of equal parts; with `stretch`, that part takes all spare width."""
    layout = QHBoxLayout()
    layout.setSpacing(SPACING_PX)
    for part in parts:
        _add(layout, part, 1 if stretch is None or part is stretch else 0)
    return layout


def form(*rows: tuple[Any, ...], parent: QWidget | None = None) -> QFormLayout:
    """Return a form without margins: a label and a field in each row, or what takes the row."""
    layout = QFormLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(SPACING_PX)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for parts in rows:
        layout.addRow(*parts)
    return layout


def fill(widget: QWidget, *parts: Part) -> None:
    """Lay out parts below each other in a widget; without margins, unless it has a frame."""
    layout = QVBoxLayout(widget)
    layout.setSpacing(SPACING_PX)
    if not isinstance(widget, QGroupBox):
        layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        _add(layout, part, 0)


def _add(layout: Any, part: Part, stretch: int) -> None:
    if isinstance(part, QLayout):
        layout.addLayout(part, stretch)
    else:
        layout.addWidget(part, stretch)
