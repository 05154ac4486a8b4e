"""Writes the target's objects to files and reads them from files, in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.layers import Labels
from napari.utils.notifications import show_info, show_warning

from napari_sam._qt.export_row import ExportRow
from napari_sam.formats.classes import ObjectClass
from napari_sam.formats.files import ExportError
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.registry import FORMATS, READ_SUFFIXES, read_objects
from napari_sam.layers import LayerBinding
from napari_sam.layers.image_references import file_for
from napari_sam.layers.target import new_target_layer
from napari_sam.session.annotations import annotations_of, image_of_labels, records_of, used_classes
from napari_sam.session.jobs import Dispatcher, LatestWinsExecutor, user_message
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import ObjectRecord, counted
from napari_sam.session.session import AnnotationSession


class ExportController:
    """Does what is asked for in a `ExportRow`."""

    def __init__(
        self, binding: LayerBinding, session: AnnotationSession, dispatcher: Dispatcher
    ) -> None:
        self._binding, self._session = binding, session
        self._lane = LatestWinsExecutor("napari-sam-files", dispatcher)
        self._formats = {file_format.title: file_format for file_format in FORMATS}
        suffixes = {title: file_format.suffixes for title, file_format in self._formats.items()}
        self.row = ExportRow(suffixes, READ_SUFFIXES, self._suggested)
        self.row.export_requested.connect(self.export_to)
        self.row.import_requested.connect(self.import_from)

    @property
    def is_idle(self) -> bool:
        """Whether no file is being written or read."""
        return self._lane.is_idle

    def close(self) -> None:
        """Stop for good; a file that is being written is written to its end."""
        self._lane.close()

    def _suggested(self) -> str:
        target = self._binding.target.layer
        return "" if target is None else file_for(self._binding.plane.image, target.name)

    def export_to(self, path: Path, title: str, overlapping: bool) -> None:
        """Write all objects of the target to a file, in the background."""
        target = self._binding.target.labels
        if target is None:
            show_warning("There are no objects to export yet: accept one, or choose a target.")
            return
        try:
            image = _image_of(target.layer, target.shape)
        except ExportError as error:
            show_warning(str(error))
            return
        records, chosen = tuple(target.registry), self._formats[title]
        classes = self._session.classes.table.classes

        def work(_: object) -> list[Path]:
            objects = annotations_of(
                target, records, image, overlapping=overlapping, classes=classes
            )
            return chosen.write(path, objects)

        def on_done(written: list[Path]) -> None:
            others = len(written) - 1
            more = f" and {others} more beside it" if others else ""
            self._end(f"{counted(len(records))} written to {written[0].name}{more}.")

        self._begin(work, on_done, "Not exported")

    def import_from(self, path: Path) -> None:
        """Add the objects of a file to the target, in the background; undone as one."""
        target, shown = self._binding.target.labels, self._binding.plane
        source, view = shown.image, shown.view
        if source is None or view is None:
            show_warning("Choose the image first that the objects belong to.")
            return
        try:
            # Without a target, that of the one which is made once the file has been read.
            layer = new_target_layer(source, view) if target is None else target.layer
            shape = view.shape_nd if target is None else target.shape
            image = _image_of(layer, shape)
        except ExportError as error:
            show_warning(str(error))
            return

        def work(_: object) -> tuple[list[ObjectRecord], list[ObjectClass], int]:
            annotations = read_objects(path, image)
            records, classes = records_of(annotations, shape), used_classes(annotations)
            return records, classes, annotations.n_without_mask

        def on_done(read: tuple[list[ObjectRecord], list[ObjectClass], int]) -> None:
            self.row.show_busy(False)
            if shown.image is not source or self._binding.target.labels is not target:
                show_warning(f"Another target was chosen meanwhile: import {path.name} again.")
            else:
                self._add(*read, path)

        self._begin(work, on_done, "Not imported")

    def _begin(self, work: Any, on_done: Any, failure: str) -> None:
        self.row.show_busy(True)
        self._lane.submit(work, on_done, lambda error: self._fail(error, failure))

    def _end(self, message: str) -> None:
        self.row.show_busy(False)
        show_info(message)

    def _fail(self, error: BaseException, failure: str) -> None:
        self.row.show_busy(False)
        if isinstance(error, ImportError) and error.name:
            show_warning(f"{failure}: run pip install {error.name.partition('.')[0]} first.")
        else:
            show_warning(user_message(error, failure, "choose another format"))

    def _add(
        self,
        records: list[ObjectRecord],
        classes: list[ObjectClass],
        n_without_mask: int,
        path: Path,
    ) -> None:
        maskless = f"; {n_without_mask} without a mask left out" if n_without_mask else ""
        if not records:
            show_warning(f"There are no objects in {path.name}{maskless}.")
            return

        def on_added(labels: Any) -> None:
            count = labels.n_made
            covered = len(records) - count
            more = f"; {covered} left out, which other objects cover" if covered else ""
            show_info(f"{counted(count)} imported from {path.name}{more}{maskless}.")

        self._session.classes.ensure(classes)
        try:
            # What is tiny in the file was so when somebody exported it.
            self._session.objects.add(records, on_added, keep_remains=True)
        except TargetError as error:
            show_warning(f"{error}")


def _image_of(layer: Labels, shape: tuple[int, ...]) -> ImageInfo:
    return image_of_labels(layer.name, shape, layer.scale, layer.units, layer.axis_labels)
