"""Fine-tunes a model on labeled images: what to learn from, how long, and the curves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLabel, QLayout, QLineEdit, QSpinBox, QWidget

from napari_sam._qt.building import button, check_box, fill, form, line_edit, progress_bar, row
from napari_sam._qt.eliding_label import ElidingLabel
from napari_sam._qt.file_names import ask_where_to_save, name_filter
from napari_sam._qt.spoken_names import spoken_name
from napari_sam._qt.training_curves import CurvePoint, TrainingCurves
from napari_sam.engine.training_settings import TrainingSettings

_SUFFIXES: Final = (".pt", ".safetensors")
_FILTER: Final = name_filter("Checkpoints", _SUFFIXES)
_DEFAULTS: Final = TrainingSettings()
_RANK: Final = 8
_MOST: Final = 100_000
_NEEDED: Final = (
    "At least two images with labels are needed: one to learn from, one kept apart to compare. "
    "Twenty are better."
)


@dataclass(frozen=True)
class TrainingRequest:
    """What a user wants to have trained."""

    images: str  # a folder, a file or a pattern
    labels: str  # the same
    checkpoint: str  # the new one
    epochs: int
    objects_per_epoch: int
    adapters: int  # rank; 0 leaves the image encoder as it is
    overwrite: bool  # whether to begin anew


class TrainingPanel(QWidget):
    """Asks what to train, and shows how that goes on."""

    start_requested = Signal(TrainingRequest)
    stop_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Fine-tune a model")
        self._build_fields()
        self.start = button("Start", "", self._on_start_clicked)
        tooltip = "Stop after the last finished epoch; Resume goes on from there"
        self.stop = button("Stop", tooltip, self.stop_requested.emit)
        self.progress = progress_bar("How much of the step is done; you can keep working meanwhile")
        self.curves = TrainingCurves()
        self.outcome = QLabel(_NEEDED, wordWrap=True)
        fill(
            self,
            form(
                ("begins with", self._base),
                ("images", _with_choice(self.images, self._choose_folder)),
                ("labels", _with_choice(self.labels, self._choose_folder)),
                ("write to", _with_choice(self.checkpoint, self._choose_file)),
                ("epochs", self.epochs),
                ("objects per epoch", self.objects),
                (row(self.adapters, self.overwrite, stretch=self.adapters),),
            ),
            row(self.start, self.stop),
            self.progress,
            self.curves,
            self.outcome,
        )
        for line in (self.images, self.labels, self.checkpoint):
            line.textChanged.connect(self._update)
        self._is_running = False
        self.show_running(False)

    def _build_fields(self) -> None:
        self._base = ElidingLabel()
        self.images = line_edit(
            "folder of images", "Folder of images, or a pattern such as plates/*.tif"
        )
        self.labels = line_edit(
            "folder of labels",
            "Folder of their labels, which may be that of the images: those of cell.tif are called "
            "cell_labels.tif or cell_mask.png. Or one file for all images, such as COCO",
        )
        self.checkpoint = line_edit("new checkpoint", "The new checkpoint, .pt or .safetensors")
        self.epochs = _box("Epochs at most: training ends early where nothing gets better")
        self.epochs.setValue(_DEFAULTS.epochs)
        self.objects = _box("Objects that are learned from in each epoch")
        self.objects.setValue(_DEFAULTS.objects_per_epoch)
        self.adapters = check_box(
            "adapt the image encoder, too",
            "Learn low-rank adapters of the image encoder, which become part of its weights.\n"
            "Slow without a GPU",
        )
        self.overwrite = check_box(
            "overwrite",
            "Replace a checkpoint of that name, or a stopped training with other settings",
        )

    def suggest(self, images: str, labels: str) -> None:
        """Fill in folders, unless the user has chosen some."""
        if not self.images.text():
            self.images.setText(images)
            self.labels.setText(self.labels.text() or labels)

    def show_base(self, name: str) -> None:
        """Show which model training would begin with."""
        self._base.show_text(name)

    def show_running(self, is_running: bool, start: str = "Start") -> None:
        """Show whether a model is being trained, and what the button to begin is called."""
        self._is_running = is_running
        self.start.setText(start)
        self.progress.setVisible(is_running)
        self.progress.setValue(0)
        self.progress.setFormat("starting")
        self._update()

    def show_step(self, step: str, share: float) -> None:
        """Show how much of a step is done."""
        self.progress.setValue(round(100 * share))
        self.progress.setFormat(f"{step} · %p%")

    def show_points(self, points: list[CurvePoint]) -> None:
        """Show what came of each epoch."""
        self.curves.show_points(points)

    def _update(self) -> None:
        lines = self.images, self.labels, self.checkpoint
        is_complete = all(line.text().strip() for line in lines)
        settings = self.epochs, self.objects, self.adapters, self.overwrite
        for widget in (*lines, *settings):
            widget.setEnabled(not self._is_running)
        self.start.setEnabled(is_complete and not self._is_running)
        self.start.setToolTip(
            "Train in the background; what is no better than before is not written"
            if is_complete
            else "Choose images, labels and a file to write to first"
        )
        self.stop.setEnabled(self._is_running)

    def _choose_folder(self, line: QLineEdit) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder", line.text())
        if folder:
            line.setText(folder)

    def _choose_file(self, line: QLineEdit) -> None:
        path = ask_where_to_save(self, "Write to", line.text(), _FILTER, _SUFFIXES)
        if path is not None:
            line.setText(str(path))
            self.overwrite.setChecked(path.exists())

    def _on_start_clicked(self) -> None:
        self.outcome.setText("")
        self.start_requested.emit(
            TrainingRequest(
                self.images.text().strip(),
                self.labels.text().strip(),
                self.checkpoint.text().strip(),
                self.epochs.value(),
                self.objects.value(),
                _RANK if self.adapters.isChecked() else 0,
                self.overwrite.isChecked(),
            )
        )


def _box(tooltip: str) -> QSpinBox:
    name = spoken_name(tooltip)
    return QSpinBox(toolTip=tooltip, minimum=1, maximum=_MOST, accessibleName=name)


def _with_choice(line: QLineEdit, choose: Callable[[QLineEdit], Any]) -> QLayout:
    """Return a line of a path with the button that opens a dialog for it."""
    return row(line, button("…", line.toolTip(), lambda: choose(line)), stretch=line)
