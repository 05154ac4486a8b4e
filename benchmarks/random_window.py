"""A window for `random_actions.py`: what a user may do in it, and what must hold."""

import gc
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import napari
import numpy as np
from napari.layers import Image, Labels, Layer, Points
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QContextMenuEvent, QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QMenu,
    QScrollBar,
    QWidget,
)
from random_checks import digest

from napari_sam._qt.class_chips import ClassChip
from napari_sam.layers.shortcuts import SHORTCUTS, key_text, tool_command
from napari_sam.model import Predictor
from napari_sam.widget import SamWidget

TIMEOUT_S: Final = 600
LONG: Final = ("Preview", "Whole image", "Remaining", "Edges")
"""Buttons that start a run of minutes; it is stopped after a moment."""
NEVER: Final = ("Download",)
KEYS: Final = (*"CWTHOUXMYQ0123456789ZPSDFBLEGRNVK", "Period", "Comma")
TOOL_KEYS: Final = {
    shortcut.command: key_text(shortcut.binding)
    for shortcut in SHORTCUTS
    if shortcut.command.startswith(tool_command(""))
}
MODIFIERS: Final = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier)
WORDS: Final = ("nucleus", "größer", "", "  ", "a,b;c\td", "<b>x</b>", "x" * 300, "\u202e", "0")


def discs(seed: int, *shape: int) -> np.ndarray:
    """Return bright discs on a dark background."""
    rows, columns = np.ogrid[: shape[-2], : shape[-1]]
    plane = np.full(shape[-2:], 40, np.uint8)
    for row, column, radius in ((18, 20, 10), (22, 66, 14), (54, 34, 12), (52, 76, 9)):
        plane[(rows - row - seed) ** 2 + (columns - column) ** 2 <= radius**2] = 190
    return np.broadcast_to(plane, shape) + np.arange(shape[0], dtype=np.uint8).reshape(
        -1, *[1] * (len(shape) - 1)
    ) * (len(shape) > 2)


class Game:
    """A window, and what a user may do in it."""

    def __init__(self, predictor: Predictor, seed: int, base: Path) -> None:
        self.random, self.seed = random.Random(seed), seed
        self.predictor, self.base = predictor, base
        # Painting takes most of the time, and nothing is decided by it: some windows stay hidden.
        self.viewer = napari.Viewer(show=seed % 4 == 0)
        self.viewer.window._qt_window.resize(1000, 700)
        self.canvas = self.viewer.window._qt_viewer.canvas.native
        self.viewer.add_image(discs(0, 72, 96), name="plane")
        self.viewer.add_image(np.stack([discs(1, 72, 96)] * 3, -1), name="rgb")
        self.viewer.add_image(discs(0, 3, 72, 96), name="stack")
        self.n_made, self.is_open = 0, False
        self.count: Counter[str] = Counter()
        self.open()

    def open(self) -> None:
        """Dock the widget, with the classes open."""
        self.widget = SamWidget(self.viewer, load_predictor=lambda *_: self.predictor)
        self.viewer.window.add_dock_widget(self.widget, name="SAM live")
        controllers = self.widget.controllers
        controllers.classes.window.show()
        self.is_open = True

    def close(self) -> None:
        """Close the window."""
        self.widget.close()
        self.viewer.close()
        gc.collect()

    def settle(self) -> None:
        """Wait until all is computed and shown."""
        if self.is_open:
            self.widget.wait_until_idle(TIMEOUT_S)
        QApplication.processEvents()

    # The mouse and the keys ------------------------------------------------------------------

    def _place(self) -> QPoint:
        width, height = self.canvas.width(), self.canvas.height()
        if self.random.random() < 0.8:  # on the image, which is in the middle
            return QPoint(
                int(self.random.gauss(width / 2, width / 8)),
                int(self.random.gauss(height / 2, height / 8)),
            )
        return QPoint(self.random.randrange(width), self.random.randrange(height))

    def _move(self, place: QPoint, button: Any = Qt.MouseButton.NoButton) -> None:
        local, whole = QPointF(place), QPointF(self.canvas.mapToGlobal(place))
        nothing, modifier = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
        event = QMouseEvent(QEvent.Type.MouseMove, local, whole, nothing, button, modifier)
        QApplication.sendEvent(self.canvas, event)

    def move_the_mouse(self) -> None:
        """Move over the canvas: previews and the row of the object follow."""
        self._move(self._place())

    def turn_the_wheel(self) -> None:
        """Turn the mouse wheel over the canvas: it zooms or, with Shift, grows the shown mask."""
        place, turned = (
            QPointF(self._place()),
            QPoint(0, self.random.choice((-240, -120, 120, 240))),
        )
        event = QWheelEvent(
            place,
            QPointF(self.canvas.mapToGlobal(place)),
            QPoint(),
            turned,
            Qt.MouseButton.NoButton,
            self.random.choice(MODIFIERS),
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.canvas, event)

    def click(self) -> None:
        """Click or double-click somewhere."""
        place, button = self._place(), self._button()
        self._move(place)
        QTest.mouseClick(self.canvas, button, self.random.choice(MODIFIERS), place)
        if self.random.random() < 0.1:
            QTest.mouseDClick(self.canvas, button, Qt.KeyboardModifier.NoModifier, place)

    def _button(self) -> Qt.MouseButton:
        """Return the left button, or the right one, which marks background."""
        is_left = self.random.random() < 0.75
        return Qt.MouseButton.LeftButton if is_left else Qt.MouseButton.RightButton

    def drag(self) -> None:
        """Drag over the canvas."""
        place, button = self._place(), self._button()
        QTest.mousePress(self.canvas, button, Qt.KeyboardModifier.NoModifier, place)
        for _ in range(self.random.randint(1, 4)):
            place = self._place()
            self._move(place, button)
        QTest.mouseRelease(self.canvas, button, Qt.KeyboardModifier.NoModifier, place)

    def choose_a_tool(self) -> None:
        """Click points or draw a shape, whose layer is selected then; by a button or a key."""
        tool = self.random.choice((tool_command("points"), *TOOL_KEYS))
        if self.random.random() < 0.5:
            self.widget.binding.shortcuts.run(tool)
        else:
            self.count[f"key {TOOL_KEYS[tool]}"] += 1
            QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{TOOL_KEYS[tool]}"))

    def press_a_key(self) -> None:
        """Press a letter or digit on the canvas, or a key of editing."""
        control = Qt.KeyboardModifier.ControlModifier
        key = getattr(Qt.Key, f"Key_{self.random.choice(KEYS)}")
        modifier = self.random.choice(MODIFIERS)
        chance = self.random.random()
        if chance < 0.25:
            key, modifier = Qt.Key.Key_Z, self.random.choice((control, control | MODIFIERS[1]))
        elif chance < 0.35:
            names = ("Delete", "Backspace", "Escape", "Return", "Left", "Right", "Up", "Question")
            key = getattr(Qt.Key, f"Key_{self.random.choice(names)}")
        elif chance < 0.4:
            key, modifier = self.random.choice((Qt.Key.Key_E, Qt.Key.Key_T, Qt.Key.Key_G)), control
        target = self.canvas if chance < 0.9 else self.widget.controllers.objects.table.view
        QTest.keyClick(target, key, modifier)

    def accept(self) -> None:
        """Click on something bright, and accept."""
        binding = self.widget.binding
        binding.prompts.start_points()
        points = self.viewer.layers.selection.active
        if not isinstance(points, Points):
            return
        place = self.random.choice(((18, 20), (22, 66), (54, 34), (52, 76)))
        index = [int(step) for step in self.viewer.dims.current_step]
        points.add([(*index, *place)[-points.ndim :]])
        self.settle()
        binding.objects.accept()

    def undo_or_redo(self) -> None:
        """Undo or redo some steps."""
        objects = self.widget.binding.objects
        action = self.random.choice((objects.undo, objects.redo))
        for _ in range(self.random.randint(1, 6)):
            action()

    def undo_and_redo(self) -> None:
        """Undo some steps and repeat them: nothing may have changed."""
        self.settle()
        history, objects = self.widget.session.editing.history, self.widget.binding.objects
        before, n_undone = digest(self.widget), 0
        for _ in range(self.random.randint(1, 6)):
            last = history.last
            objects.undo()
            self.settle()
            n_undone += history.last is not last
            if history.last is last:
                break
        for _ in range(n_undone):
            objects.redo()
            self.settle()
        after = digest(self.widget)
        for target in before.keys() & after.keys():
            assert after[target] == before[target], f"undo and redo have changed {target.name}"

    # The controls ------------------------------------------------------------------------------

    def use_a_control(self) -> None:
        """Press, choose, type or slide any control of the widget that can be used."""
        kinds = QAbstractButton, QComboBox, QLineEdit, QAbstractSlider, QAbstractSpinBox
        parts = [
            part
            for part in self.widget.findChildren(QWidget)
            if isinstance(part, kinds)
            and not isinstance(part, QScrollBar)
            # superqt's keeps letters out as they are typed.
            and not isinstance(part.parent(), QAbstractSpinBox)
            and part.isVisibleTo(self.widget)
            and part.isEnabled()
        ]
        if parts:
            self._use(self.random.choice(parts))

    def _use(self, part: QWidget) -> None:
        if isinstance(part, QAbstractButton):
            text = part.text()
            if text.startswith(NEVER) or (text in LONG and self.random.random() < 0.7):
                return
            self.count[f"button {(text or part.accessibleName() or part.toolTip())[:20]}"] += 1
            if isinstance(part, ClassChip) and self.random.random() < 0.5:
                self._open_menu_of(part)
            else:
                part.click()
            self._choose_in_menu()
            if text in LONG:
                end = time.monotonic() + self.random.uniform(0, 1)
                while time.monotonic() < end:
                    QApplication.processEvents()
                if self.is_open:
                    self.widget.controllers.automatic.panel.run.cancel.click()
        elif isinstance(part, QComboBox) and part.count():
            part.setCurrentIndex(self.random.randrange(part.count()))
            part.activated.emit(part.currentIndex())
        elif isinstance(part, QLineEdit):
            part.setText(self.random.choice(WORDS))
            QTest.keyClick(part, Qt.Key.Key_Return)
        elif isinstance(part, QAbstractSlider):
            low, high = part.minimum(), part.maximum()
            values = sorted(type(low)(self.random.uniform(low, high)) for _ in range(2))
            part.setValue(tuple(values) if isinstance(part.value(), tuple) else values[0])
        elif isinstance(part, QAbstractSpinBox):
            part.stepBy(self.random.randint(-3, 3))

    def _open_menu_of(self, chip: ClassChip) -> None:
        """Open the menu of a class, which waits until something is chosen."""
        QTimer.singleShot(0, self._choose_in_menu)
        place = chip.rect().center()
        event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, chip.mapToGlobal(place))
        QApplication.sendEvent(chip, event)

    def _choose_in_menu(self) -> None:
        """Choose something in a menu that is open, or close it."""
        menu = QApplication.activePopupWidget()
        if isinstance(menu, QMenu):
            actions = [action for action in menu.actions() if action.text() and action.isEnabled()]
            action = self.random.choice([*actions, None])
            menu.close()
            if action is not None:
                self.count[f"menu {action.text()}"] += 1
                action.trigger()

    def edit_the_table(self) -> None:
        """Select rows, sort, and edit a cell."""
        table = self.widget.controllers.objects.table
        model, view = table.model, table.view
        if not model.rowCount():
            return
        view.clearSelection()
        for _ in range(self.random.randint(1, 3)):
            view.selectionModel().select(
                model.index(self.random.randrange(model.rowCount()), 0),
                view.selectionModel().SelectionFlag.Select
                | view.selectionModel().SelectionFlag.Rows,
            )
        index = model.index(
            self.random.randrange(model.rowCount()), self.random.randrange(model.columnCount())
        )
        if self.random.random() < 0.2:
            view.sortByColumn(index.column(), self.random.choice(list(Qt.SortOrder)))
        elif model.flags(index) & Qt.ItemFlag.ItemIsEditable:
            model.setData(index, self.random.choice(WORDS), Qt.ItemDataRole.EditRole)
        elif model.flags(index) & Qt.ItemFlag.ItemIsUserCheckable:
            value = self.random.choice((Qt.CheckState.Checked, Qt.CheckState.Unchecked))
            model.setData(index, value.value, Qt.ItemDataRole.CheckStateRole)

    # Layers ------------------------------------------------------------------------------------

    def _some_layer(self, *types: Any) -> Any:
        layers = [layer for layer in self.viewer.layers if isinstance(layer, types or object)]
        return self.random.choice(layers) if layers else None

    def scroll(self) -> None:
        """Go to another slice."""
        dims = self.viewer.dims
        if dims.ndim > 2:
            dims.set_current_step(self.random.randrange(dims.ndim), self.random.randrange(4))

    def zoom(self) -> None:
        """Look at another part."""
        self.viewer.scene.camera.zoom = self.random.choice((0.5, 2, 8, 30))
        self.viewer.scene.camera.center = (
            0,
            self.random.uniform(0, 72),
            self.random.uniform(0, 96),
        )

    def select_a_layer(self) -> None:
        """Select a layer, or none."""
        layer = self._some_layer()
        self.viewer.layers.selection.active = layer if self.random.random() < 0.9 else None

    def change_a_layer(self) -> None:
        """Rename, hide, move, shift or copy a layer."""
        layer = self._some_layer()
        if layer is None:
            return
        chance = self.random.randrange(7)
        if chance == 0:
            layer.name = self.random.choice(WORDS)
        elif chance == 1:
            layer.visible = not layer.visible
        elif chance == 2:
            self.viewer.layers.move(
                self.random.randrange(len(self.viewer.layers)),
                self.random.randrange(len(self.viewer.layers)),
            )
        elif chance == 3:
            layer.scale = [self.random.choice((1, 1, 0.5, 2))] * layer.ndim
        elif chance == 4 and len(self.viewer.layers) < 14:
            data, state, kind = layer.as_layer_data_tuple()
            data = np.copy(data) if kind in ("image", "labels") else data
            self.viewer.add_layer(Layer.create(data, state, kind))  # as napari duplicates layers
        elif chance == 5:
            layer.translate = [self.random.choice((0, 0, 7.5))] * layer.ndim
        else:
            layer.opacity = self.random.random()

    def delete_a_layer(self) -> None:
        """Delete any layer, or many."""
        layers = self.viewer.layers
        if layers and self.random.random() < 0.95:
            layers.remove(self._some_layer())
        elif self.random.random() < 0.3:
            layers.clear()

    def add_a_layer(self) -> None:
        """Add an image, or a layer of the user's own."""
        if len(self.viewer.layers) > 14:
            return
        seed, kind = self.random.randrange(3), self.random.randrange(6)
        shape = self.random.choice(((72, 96), (3, 72, 96), (2, 2, 72, 96)))
        if kind < 3:
            self.viewer.add_image(discs(seed, *shape), name=self.random.choice(WORDS))
        elif kind == 3:
            labels = np.zeros(shape, self.random.choice((np.uint8, np.int32, np.uint16)))
            labels[..., 10:30, 10:30] = self.random.choice((1, 7, 200))
            self.viewer.add_labels(labels)
        elif kind == 4:
            self.viewer.add_points(np.random.default_rng(seed).uniform(0, 70, (3, len(shape))))
        else:
            self.viewer.add_shapes([np.array([[5, 5], [30, 40]])], shape_type="rectangle")

    def replace_data(self) -> None:
        """Give an image or a labels layer other data, or change its pixels in place."""
        layer = self._some_layer(Image, Labels)
        if layer is None or layer.multiscale:
            return
        if isinstance(layer, Labels):
            data = np.array(layer.data)
            data[..., :9, :9] = self.random.choice((0, 1, 3))
            layer.data = data
        elif getattr(layer, "rgb", False) or self.random.random() < 0.5:
            with suppress(ValueError):  # a view of a broadcast array
                layer.data[..., :20, :] = self.random.randrange(200)
                layer.refresh()
        else:
            shape = self.random.choice((layer.data.shape, (72, 96), (4, 72, 96)))
            layer.data = discs(self.random.randrange(3), *shape)

    def paint(self) -> None:
        """Paint, fill, erase or take a stroke back with napari's own tools."""
        layer = self.widget.binding.target.layer if self.is_open else None
        layer = layer or self._some_layer(Labels)
        if layer is None or layer.multiscale:
            return
        known = [0, *np.unique(np.asarray(layer.data))[:9], self.random.randrange(1, 100)]
        label_id = int(self.random.choice(known))
        place = tuple(self.random.randrange(length) for length in layer.data.shape)
        layer.brush_size = self.random.randint(1, 20)
        chance = self.random.random()
        if chance < 0.6:
            layer.paint(place, label_id)
        elif chance < 0.75:
            layer.fill(place, label_id)
        elif chance < 0.9:
            layer.undo()
        else:
            layer.redo()

    def save_a_layer(self) -> None:
        """Save a layer by napari, in one of our formats."""
        layer = self._some_layer(Labels)
        if layer is not None:
            suffix = self.random.choice((".tif", ".npy", ".png", ".json", ".geojson"))
            self.n_made += 1
            layer.save(str(self.base / f"saved{self.n_made}{suffix}"))

    def reopen(self) -> None:
        """Close the widget, whatever it does, and open it again."""
        self.viewer.window.remove_dock_widget(self.widget)
        self.widget.close()
        self.is_open = False
        if self.random.random() < 0.5:
            self.paint()
            self.change_a_layer()
        self.open()

    def swap_the_view(self) -> None:
        """Show other axes, or three dimensions, and return soon."""
        dims = self.viewer.dims
        self.random.choice((dims.roll, dims.transpose))()
        if self.random.random() < 0.3:
            dims.ndisplay = 3
            self.settle()
            dims.ndisplay = 2

    @property
    def actions(self) -> dict[Callable[[], None], float]:
        """What can be done, and how often."""
        frequent = {self.click: 12, self.accept: 10, self.use_a_control: 22, self.press_a_key: 12}
        prompts = {self.drag: 6, self.choose_a_tool: 6, self.move_the_mouse: 3, self.paint: 8}
        history = {self.undo_or_redo: 6, self.undo_and_redo: 4, self.edit_the_table: 7}
        views = {self.scroll: 4, self.zoom: 2, self.turn_the_wheel: 3, self.swap_the_view: 0.5}
        layers = {self.change_a_layer: 3, self.delete_a_layer: 1.5, self.add_a_layer: 2}
        rest = {
            self.select_a_layer: 2,
            self.replace_data: 1.5,
            self.save_a_layer: 1,
            self.reopen: 0.7,
        }
        return {**frequent, **prompts, **history, **views, **layers, **rest}
