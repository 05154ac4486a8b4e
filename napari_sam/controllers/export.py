"""Export the target's objects to files and import objects from files, in the background."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from napari.layers import Image, Labels
from psygnal import Signal

from napari_sam._qt.export_row import ExportRow, ExportScope
from napari_sam.controllers.context import WidgetContext
from napari_sam.formats.annotations import Annotations
from napari_sam.formats.classes import ObjectClass
from napari_sam.formats.files import FileError
from napari_sam.formats.image import ImageInfo
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.reading import read_choices
from napari_sam.formats.reading_tracks import GEFF_FILE, POINTS_SUFFIXES
from napari_sam.formats.registry import ALL_FORMATS
from napari_sam.formats.tiff_axes import calibrated
from napari_sam.layers.image_references import (
    file_for,
    is_file_of,
    name_in_files,
    names_in_files,
    slice_in_files,
    stem_for,
)
from napari_sam.layers.target import TargetLayer, new_target_layer
from napari_sam.session.annotations import (
    annotations_of,
    image_of_labels,
    records_of,
    used_classes,
)
from napari_sam.session.jobs import user_message
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import ObjectRecord, counted, covered_left_out

_CALIBRATED: Final = ("tiff", "ome-tiff")
"""The formats of label images with sizes of pixels."""


@dataclass(frozen=True)
class _Import:
    """A file whose objects go to the target of an image, as long as both stay."""

    path: Path
    source: Image
    target: TargetLayer | None  # None: one is made
    shape: tuple[int, ...]  # of the target


class ExportController:
    """Exports and imports objects as an `ExportRow` requests."""

    tracks_chosen = Signal(Path)
    """A file of points of tracks is to be imported, which has no objects."""

    def __init__(
        self,
        context: WidgetContext,
        rows_in: Callable[[ExportScope], frozenset[int] | None] = lambda scope: None,
    ) -> None:
        self._binding, self._session = context.binding, context.session
        self._messages, self._rows_in = context.messages, rows_in
        self._executor = context.session.background.executor("export", is_bulky=True)
        self._formats = {file_format.title: file_format for file_format in ALL_FORMATS}
        self._choose: Callable[[int], None] = lambda index: None
        self.row = ExportRow(self._suggested, self._is_image, self._may_be_film)
        self.row.export_requested.connect(self._on_export_requested)
        self.row.import_requested.connect(self.import_from)
        self.row.image_chosen.connect(self.choose_image)

    def _suggested(self) -> str:
        image, target = self._binding.plane.image, self._binding.target.layer
        if target is None:
            return ""
        return file_for(image, target.name if image is None else stem_for(image))

    def _is_image(self, path: Path) -> bool:
        return is_file_of(self._binding.plane.image, path)

    def _may_be_film(self) -> bool:
        return self._binding.tracks.possible_axis is not None

    def _on_export_requested(self, path: Path, title: str, overlapping: bool) -> None:
        self.export_to(path, title, overlapping, self._rows_in(self.row.scope))

    def export_to(
        self, path: Path, title: str, overlapping: bool, label_ids: frozenset[int] | None = None
    ) -> None:
        """Write objects of the target, or all of them, to a file, in the background."""
        target = self._binding.target.labels
        if target is None:
            self._messages.warn(
                "No objects to export. Accept an object, or choose a target layer that has some."
            )
            return
        if self._is_image(path):
            self._messages.warn(f"{path.name} is the image itself. Choose another name.")
            return
        try:
            image = _image_of(target.layer, target.shape, self._binding.plane.image)
        except FileError as error:
            self._messages.warn(str(error))
            return
        records = tuple(
            record
            for record in target.registry
            if label_ids is None or record.label_id in label_ids
        )
        if label_ids is not None and not records:
            self._messages.warn("No rows to export: select some, or clear the filter.")
            return
        file_format = self._formats[title]
        path_of_image = _path_of(self._binding.plane.image)
        classes = self._session.classes.table.classes

        def work(_: object) -> list[Path]:
            # Other files are about the places of objects, which napari knows in its own units.
            about = calibrated(image, path_of_image) if file_format.key in _CALIBRATED else image
            objects = annotations_of(
                target, records, about, overlapping=overlapping, classes=classes
            )
            return file_format.write(path, objects)

        def on_done(files: list[Path]) -> None:
            self.row.show_busy(False)
            name = path.name if path.is_dir() else _named(files[0], len(files))
            self._messages.info(f"Exported {counted(len(records))} to {name}.")

        self._begin(work, on_done, "Export failed")

    def import_from(self, path: Path) -> None:
        """Add the objects of a file to the target, in the background and in one undoable step."""
        if path.suffix.lower() in POINTS_SUFFIXES or path.name == GEFF_FILE:
            self.tracks_chosen.emit(path)
            return
        target, shown = self._binding.target.labels, self._binding.plane
        source, view = shown.image, shown.view
        self.row.offer_images(())
        if source is None or view is None:
            self._messages.warn("First open and select the image that the objects belong to.")
            return
        try:
            # A missing target layer is only added to the viewer once the file has been read.
            layer = new_target_layer(source, view) if target is None else target.layer
            shape = view.shape_nd if target is None else target.shape
            image, names = _image_of(layer, shape, source), names_in_files(source)
            shown_slice = slice_in_files(view, shape)
        except FileError as error:
            self._messages.warn(str(error))
            return
        task = _Import(path, source, target, shape)
        self._begin(
            lambda _: read_choices(path, image, names, shown_slice),
            lambda choices: self._on_read(task, choices),
            "Import failed",
        )

    def _on_read(self, task: _Import, choices: list[tuple[str, Annotations]]) -> None:
        """Import the objects of the image in a file, or ask which of its images it is."""
        self.row.show_busy(False)
        if len(choices) == 1:
            self._take(task, choices[0][1])
            return
        self._choose = lambda index: self._take(task, choices[index][1])
        self.row.offer_images([name for name, _ in choices])
        self._messages.info(
            f"{task.path.name} contains {len(choices)} images of this size. Choose yours in "
            "Objects."
        )

    def choose_image(self, index: int) -> None:
        """Import the objects of one of the images that the file is about."""
        self.row.offer_images(())
        choose, self._choose = self._choose, lambda index: None
        choose(index)

    def _take(self, task: _Import, annotations: Annotations) -> None:
        def on_done(content: tuple[list[ObjectRecord], list[ObjectClass]]) -> None:
            self.row.show_busy(False)
            image, target = self._binding.plane.image, self._binding.target.labels
            if image is not task.source or target is not task.target:
                self._messages.warn(
                    "The target changed during the import, so nothing was added. Import "
                    f"{task.path.name} again."
                )
            else:
                name, at = _named(task.path, annotations.n_files), annotations.at_slice
                name = name if at is None else f"{name} to slice {', '.join(map(str, at))}"
                self._add(*content, annotations.left_out, name)

        def work(_: object) -> tuple[list[ObjectRecord], list[ObjectClass]]:
            return records_of(annotations, task.shape), used_classes(annotations)

        self._begin(work, on_done, "Import failed")

    def _begin(self, work: Any, on_done: Any, failure: str) -> None:
        self.row.show_busy(True)
        self._executor.submit(work, on_done, lambda error: self._fail(error, failure))

    def _fail(self, error: BaseException, failure: str) -> None:
        self.row.show_busy(False)
        self._messages.fail(user_message(error, failure, "choose another format"))

    def _add(
        self,
        records: list[ObjectRecord],
        classes: list[ObjectClass],
        left_out: LeftOut,
        name: str,
    ) -> None:
        without = f"; {left_out}" if left_out else ""
        if not records:
            self._messages.warn(f"No objects in {name}{without}.")
            return

        def on_added(labels: Any) -> None:
            count = labels.n_made
            n_covered = len(records) - count
            covered = f"; {covered_left_out(n_covered)}" if n_covered else ""
            gone = f"; {counted(labels.n_gone)} replaced, see Undo" if labels.n_gone else ""
            text = f"Imported {counted(count)} from {name}{gone}{covered}{without}."
            self._messages.info(text)

        self._session.classes.table.ensure(classes)
        try:
            # Objects that are tiny in the file were exported as such.
            self._session.editing.add(records, on_added, keep_remains=True)
        except TargetError as error:
            self._messages.warn(str(error))


def _named(path: Path, n_files: int) -> str:
    """Return the name of a file, and how many files more there are."""
    return f"{path.name} (and {n_files - 1} more beside it)" if n_files > 1 else path.name


def _path_of(image: Image | None) -> str:
    return "" if image is None else str(image.source.path or "")


def _image_of(layer: Labels, shape: tuple[int, ...], image: Image | None) -> ImageInfo:
    """Describe the image that some labels lie on, by its own name if it is there."""
    name = layer.name if image is None else name_in_files(image)
    return image_of_labels(name, shape, layer.scale, layer.units, layer.axis_labels)
