"""The panel for batch prompts: their layer or file, and the progress."""

from pathlib import Path
from typing import Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_sam._qt.building import button, fill, progress_bar, row
from napari_sam._qt.file_names import ask_for_file, name_filter
from napari_sam._qt.layer_combo import LayerCombo
from napari_sam._qt.painted_labels import PaintedLabel
from napari_sam._qt.slice_range_row import SliceRangeRow
from napari_sam.session.batch_prompts.run import BatchPromptsState

_NO_LAYER: Final = (
    "Add a Points or Shapes layer (above the layer list) and mark each object, or choose a file."
)
_NOT_CHOSEN: Final = "Choose a layer or a file with a point, box or other shape per object."


class BatchPromptsPanel(QWidget):
    """A combo of layers, a button for files, the slices, a button to begin, and the progress."""

    file_chosen = Signal(Path)

    def __init__(self, readable: tuple[str, ...]) -> None:
        super().__init__()
        names = name_filter("Prompts", readable)
        self.combo = LayerCombo(
            "choose a layer",
            "Segment one object per point, box or other shape of a layer, or refine each object\n"
            "of a Labels layer; in a stack, on the shown slice, or on a range of slices",
        )
        file = button(
            "File…",
            "Read prompts from a file: CSV with columns x0,y0,x1,y1 or x,y, points or "
            "shapes\nsaved by napari, GeoJSON, COCO, YOLO or labelme; classes are read too",
            lambda: ask_for_file(self, "Prompts from a file", names, self.file_chosen),
        )
        self.slices = SliceRangeRow(
            "The {} slice to go through: the prompts on all of them are used, and each object is\n"
            "carried through them until it ends; masks that overlap on neighboring slices are one"
        )
        self._about = PaintedLabel(lines=2)
        self.start = button(
            "Segment all",
            "Segment one object per prompt in the background; one Undo removes them all",
        )
        self.stop = button("Stop", "Stop, and add the objects segmented so far")
        self._progress = progress_bar("You can keep working meanwhile")
        source = row(QLabel("from"), self.combo, file, stretch=self.combo)
        action = row(self.start, self._progress, self.stop)
        action.setStretch(2, 0)
        fill(self, source, self.slices, self._about, action)
        self.show_source("", count=0)
        self.show_progress(None)

    def show_source(self, about: str, *, count: int) -> None:
        """Describe the prompts of the layer or file; without any, nothing can be started.

        Without a layer or file, say where prompts come from.
        """
        has_layers = any(layer is not None for layer in self.combo.layers)
        self._about.set_text(about or (_NOT_CHOSEN if has_layers else _NO_LAYER))
        self.start.setEnabled(count > 0)
        self.start.setText(f"Segment {count} objects" if count > 1 else "Segment all")

    def show_progress(self, state: BatchPromptsState | None) -> None:
        """Show the progress of a batch; None: there is none."""
        is_running = state is not None
        self.start.setVisible(not is_running)
        self._progress.setVisible(is_running)
        self.stop.setVisible(is_running)
        if state is not None:
            self._progress.setValue(round(100 * state.share))
            done = round(state.share * state.total)
            text = f"{done} of {state.total}"
            if state.is_carrying:
                text = f"{done} of at most {state.total} slices"
            self._progress.setFormat(text)
            self.stop.setEnabled(not state.is_stopping)
