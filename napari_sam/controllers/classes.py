"""Connects the classes with their panel, the number keys and the objects."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from app_model.backends.qt import QKeyBindingSequence
from napari.layers import Image
from psygnal import Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QCheckBox, QShortcut, QWidget

from napari_sam._qt.class_chips import ClassChips
from napari_sam._qt.class_panel import ClassPanel
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.options_panel import OptionsPanel
from napari_sam._qt.tool_window import ToolWindow
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.objects import ObjectTableController
from napari_sam.controllers.preferences import keep_of_objects
from napari_sam.formats.files import FileError
from napari_sam.formats.left_out import LeftOut
from napari_sam.layers.class_colors import ClassColors
from napari_sam.layers.object_colors import ColoringError
from napari_sam.layers.shortcuts import MAX_NUMBERED, class_command, key_text
from napari_sam.layers.target import TargetLayer
from napari_sam.layers.target_features import CURRENT_CLASS_KEY, FeatureWriter, classes_in
from napari_sam.session.classes.files import read_classes, write_classes
from napari_sam.session.connections import Connections


class ClassesController:
    """Keeps chips and panel up to date, and makes the changes requested in it and by number keys.

    A number key or a chip sets the class of the rows selected in the table of objects; if there are
    none, that of the re-edited object, else the class of new objects.
    """

    coloring_changes = Signal(bool)
    """Objects are about to be colored by class, or about to be so no more."""

    def __init__(
        self,
        context: WidgetContext,
        objects: ObjectTableController,
        options: OnDemand[OptionsPanel],
    ) -> None:
        self._binding, self._session = binding, session = context.binding, context.session
        self._objects, self._defer = objects, context.dispatcher.post
        self._messages, self._reminder = context.messages, ""
        self._classes = classes = session.classes
        self.on_demand = OnDemand(ClassPanel)
        """What is in the window of all classes."""
        self.chips = chips = ClassChips()
        self._image = binding.plane.image  # the last one that was annotated
        self._target: TargetLayer | None = None
        self._target_connection = Connections()
        self._colors: ClassColors | None = None
        self._features: FeatureWriter | None = None
        self.is_coloring = self._is_closed = False
        """Whether objects are colored by class."""
        self._commands: dict[str, Callable[[], None]] = {
            class_command(number): partial(self.assign, number)
            for number in range(MAX_NUMBERED + 1)
        }
        self._coloring_boxes: list[QCheckBox] = []
        self._connect(chips)
        chips.apply_requested.connect(self._on_chip)
        self.on_demand.when_built(self._connect_panel)
        options.when_built(lambda panel: self._add_coloring_box(panel.coloring))
        self._fill_menu(context.widget)
        self._connections = Connections(
            (classes.table.changed, self._on_classes_changed),
            (binding.target.changed, self._on_target_changed),
            (binding.image_changed, self._on_image_changed),
            (binding.shortcuts.changed, self._show),
        )
        self._on_target_changed()
        self._on_classes_changed()

    @property
    def panel(self) -> ClassPanel:
        """What is in the window of all classes, built when it is first needed."""
        return self.on_demand.get()

    def _connect(self, view: ClassPanel | ClassChips) -> None:
        classes = self._classes
        view.add_requested.connect(partial(self._attempt, classes.add))
        view.rename_requested.connect(partial(self._attempt, classes.rename))
        view.recolor_requested.connect(partial(self._attempt, classes.recolor))
        view.remove_requested.connect(partial(self._attempt, classes.remove))

    def _connect_panel(self, panel: ClassPanel) -> None:
        self._connect(panel)
        panel.choose_requested.connect(partial(self._attempt, self._classes.table.choose))
        panel.open_requested.connect(partial(self._attempt, self._load))
        panel.save_requested.connect(partial(self._attempt, self._save))
        self._add_coloring_box(panel.coloring)
        self._show()

    def _add_coloring_box(self, box: QCheckBox) -> None:
        box.setChecked(self.is_coloring)
        box.toggled.connect(self.set_coloring)
        box.clicked.connect(partial(keep_of_objects, "color_by_class"))
        self._coloring_boxes.append(box)

    def _fill_menu(self, widget: QWidget) -> None:
        """Offer what is done with all classes."""
        menu = self.chips.menu
        self.window = ToolWindow(self.on_demand, widget)
        # No layer has the keys while the window has the focus.
        self._keys = {command: QShortcut(self.window) for command in ("undo", "redo")}
        for command, key in self._keys.items():
            key.activated.connect(partial(self._binding.shortcuts.run, command))
        menu.addAction("All classes…", self.window.toggle)
        menu.addSeparator()
        menu.addAction("Open classes…", lambda: self.panel.ask_for_file())
        menu.addAction("Save classes…", lambda: self.panel.ask_where_to_save())

    def close(self) -> None:
        """Disconnect the target and restore its colors."""
        self._is_closed = True
        self._connections.close()
        self.window.close()
        self._follow(None)

    # What is asked for ---------------------------------------------------------------------------

    def assign(self, number: int) -> None:
        """Apply the class of a number key; 0 stands for no class."""
        name = self._classes.table.name_of(number)
        if number and name is None:
            self._session.notifier.warn(
                f"Class {number} is not defined yet: add it with '+ class'."
            )
            return
        if label_ids := self._meant:
            self._reclassify(label_ids, name)
        elif name != self._classes.table.current:
            self._classes.table.choose(name)
            self._messages.info(f"The next objects get {_in_words(name)}.")

    def _on_chip(self, name: str) -> None:
        """Apply the class of a chip; for new objects, one that is chosen already is taken back."""
        table = self._classes.table
        if label_ids := self._meant:
            self._reclassify(label_ids, name)
        else:
            table.choose(None if name == table.current else name)

    @property
    def _meant(self) -> list[int]:
        """The objects that a class is applied to; none: it is for new objects."""
        reedited = self._session.objects.reedited_label_id
        return self._objects.selected or ([] if reedited is None else [reedited])

    def _reclassify(self, label_ids: list[int], name: str | None) -> None:
        """Set the class of objects, and say so: they may be out of sight."""
        without = [label_id for label_id in label_ids if self._class_of(label_id) != name]
        self._attempt(lambda: self._session.objects.update(label_ids, class_name=name))
        if without and self._class_of(without[0]) == name:
            now = f"{len(without):,} objects now have"
            if len(without) == 1:
                now = f"Object {without[0]} now has"
            key = self._binding.shortcuts.undo_text
            self._messages.info(f"{now} {_in_words(name)}: {key} takes it back.")

    def _class_of(self, label_id: int) -> str | None:
        record = None if self._target is None else self._target.registry.get(label_id)
        return None if record is None else record.class_name

    def set_coloring(self, is_on: bool) -> None:
        """Color the target's objects by class, or restore the layer's colors."""
        if is_on == self.is_coloring:
            return
        self.is_coloring = is_on
        self.coloring_changes.emit(is_on)
        self._color()
        for box in self._coloring_boxes:
            box.setChecked(self.is_coloring)

    def _load(self, path: Path) -> None:
        left_out = LeftOut()
        self._classes.load(read_classes(path, left_out))
        if left_out:
            self._session.notifier.warn(f"{path.name}: {left_out}.")

    def _save(self, path: Path) -> None:
        write_classes(path, self._classes.table.classes)

    def _attempt(self, action: Callable[..., object], *values: object) -> None:
        try:
            self._binding.objects.attempt(action, *values)
        except FileError as error:
            self._session.notifier.warn(str(error))
        self._show()  # also removes a refused change from the panel

    # What is shown -----------------------------------------------------------------------------

    def _follow(self, target: TargetLayer | None) -> None:
        self._uncolor()
        self._target_connection.close()
        if self._features is not None:
            self._features.close()
            self._features = None
        self._target = target
        if target is not None:
            table, metadata = self._classes.table, target.layer.metadata
            is_first, current = not table.classes, metadata.get(CURRENT_CLASS_KEY)
            table.ensure(classes_in(metadata))
            if is_first and any(entry.name == current for entry in table.classes):
                table.choose(current)  # as it was when the dock was closed
            changed = target.registry.changed, self._on_records_changed
            self._target_connection = Connections(changed)
            self._features = FeatureWriter(target.layer, target.registry, table, self._defer)

    def _uncolor(self) -> None:
        if self._colors is not None:
            self._colors.close()
            self._colors = None

    def _color(self) -> None:
        self._uncolor()
        if self.is_coloring and self._target is not None:
            table, stop = self._classes.table, self._stop_coloring
            try:
                self._colors = ClassColors(self._target, table, self._defer, stop)
            except ColoringError as error:
                self._stop_coloring(str(error))

    def _stop_coloring(self, reason: str) -> None:
        self.set_coloring(False)
        self._session.notifier.warn(reason)

    def _on_target_changed(self) -> None:
        self._follow(self._binding.target.labels)
        self._on_records_changed()
        self._color()

    def _on_image_changed(self, image: Image | None) -> None:
        """Say that the class of new objects is kept: many images are annotated with one class."""
        former, name = self._image, self._classes.table.current
        self._image = image or former
        is_next = None not in (image, former) and image is not former
        if is_next and name is not None and self.chips.isVisible():
            self._reminder = f"New objects still get class '{name}'. Click its chip for none."
            self._messages.info(self._reminder)

    def _on_records_changed(self) -> None:
        if self._target is not None:
            names = {record.class_name for record in self._target.registry}
            self._classes.table.ensure(sorted(name for name in names if name))
        self._show()

    def _on_classes_changed(self) -> None:
        self._messages.withdraw(self._reminder)
        table, shortcuts = self._classes.table, self._binding.shortcuts
        is_registered = self._commands.keys() <= shortcuts.commands.keys()
        if table.classes and not is_registered:
            shortcuts.register(self._commands)
        elif is_registered and not table.classes:
            shortcuts.unregister(self._commands)  # until there are classes, the digits are napari's
        colors = {object_class.name: object_class.color for object_class in table.classes}
        self._objects.table.set_classes(colors)
        self._show()

    def _show(self) -> None:
        if self._is_closed:
            return
        table = self._classes.table
        records = () if self._target is None else self._target.registry
        counts = Counter(record.class_name for record in records)
        names = [None, *(object_class.name for object_class in table.classes)][: MAX_NUMBERED + 1]
        bindings = self._binding.shortcuts.bindings
        keys = {name: key_text(bindings[class_command(k)]) for k, name in enumerate(names)}
        if self.on_demand.built is not None:
            self.panel.show_classes(table.classes, table.current, counts, keys)
        self.chips.show_classes(table.classes, table.current, keys)
        for command, key in self._keys.items():
            binding = bindings[command]
            key.setKey(QKeySequence() if binding is None else QKeyBindingSequence(binding))


def _in_words(name: str | None) -> str:
    return "no class" if name is None else f"class '{name}'"
