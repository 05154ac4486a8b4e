"""Connects the panel for batch prompts with the session, layers and files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from napari.layers import Labels, Layer, Points, Shapes
from qtpy.QtWidgets import QWidget

from napari_sam._qt.batch_prompts_panel import BatchPromptsPanel
from napari_sam._qt.building import fill, rest_timer
from napari_sam._qt.prefetch_row import PrefetchRow
from napari_sam._qt.tabs import Tab
from napari_sam.controllers.context import WidgetContext
from napari_sam.formats.left_out import LeftOut
from napari_sam.formats.prompt_files import PROMPT_SUFFIXES, read_prompts
from napari_sam.formats.prompts import FilePrompt
from napari_sam.layers.image_references import name_in_files, names_in_files, slice_in_files
from napari_sam.layers.plane_view import ShownPlane
from napari_sam.session.annotations import image_of_labels
from napari_sam.session.batch_prompts.decode import BatchPrompt
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import LatestWinsExecutor, user_message
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted
from napari_sam.session.objects.slices import slices_in_words
from napari_sam.session.prompts.file_prompts import prompts_of

_ReadPrompts = tuple[Mapping[int, Sequence[BatchPrompt]], LeftOut]
"""The prompts of a layer or a file by slice, and what was left out of it."""


_REST_MS: Final = 300
"""How long the prompts of the layer have to stay as they are to be counted again."""


class BatchPromptsController:
    """Fulfils the requests of a `BatchPromptsPanel`."""

    def __init__(self, context: WidgetContext) -> None:
        self._binding = context.binding
        self._session = session = context.session
        # Two queues, so that a count never replaces a start.
        self._counting = session.background.executor("count")
        self._starting = session.background.executor("prompts")
        self._layer: Layer | None = None
        self._path: Path | None = None
        self._offered: list[Layer] = []
        self.panel = BatchPromptsPanel(PROMPT_SUFFIXES)
        self.prefetch_row = PrefetchRow()
        self._page = page = QWidget()
        fill(page, self.panel, self.prefetch_row)
        tooltip = "Segment one object per point, shape or label of a layer, or prompt of a file"
        self.tab = Tab(page, "Batch", tooltip)
        self._messages = context.messages
        self._layer_connection = Connections()
        self._count_timer = rest_timer(context.widget, _REST_MS, self._recount)
        self._selection = context.viewer.layers.selection
        self.panel.combo.chosen.connect(self.use_layer)
        self.panel.file_chosen.connect(self.use_file)
        self.panel.start.clicked.connect(self.start)
        self.panel.stop.clicked.connect(session.batch_prompts.stop)
        self.panel.slices.changed.connect(self._count)
        self.tab.toggled.connect(self._on_toggled)
        self._connections = Connections(
            (session.batch_prompts.changed, self._on_progress),
            (session.batch_prompts.finished, self._messages.info),
            (self._binding.image_changed, self._on_plane_changed),
            (self._binding.plane.stack_changed, self._on_plane_changed),
        )
        self._on_plane_changed()

    def close(self) -> None:
        """Disconnect from the session and the layer."""
        self._count_timer.stop()
        self._connections.close()
        self._layer_connection.close()

    def offer(self, layers: Sequence[Layer]) -> None:
        """Offer the layers that can hold prompts, other than the target.

        One that the user makes while they are looked for is taken.
        """
        target, kinds = self._binding.target.layer, Points | Shapes | Labels
        fitting = [layer for layer in layers if isinstance(layer, kinds) and layer is not target]
        if self._layer is not None and not any(layer is self._layer for layer in fitting):
            self.use_layer(None)
        new = [
            layer
            for layer in fitting
            if isinstance(layer, Points | Shapes)
            and not any(layer is known for known in self._offered)
        ]
        self._offered = fitting
        has_source = self._layer is not None or self._path is not None
        is_wanted = self.tab.is_current and self._binding.plane.shown is not None
        if new and is_wanted and not has_source:
            self.take(new[0])
        else:
            self.panel.combo.set_layers(fitting, self._layer)
            if not has_source:
                self.panel.show_source("", count=0)

    def _on_toggled(self, is_shown: bool) -> None:
        """Count again; without a source, take the layer of shapes that the user has selected."""
        layer = self._selection.active
        is_offered = any(layer is offered for offered in self._offered)
        has_source = self._layer is not None or self._path is not None
        if is_shown and not has_source and isinstance(layer, Shapes) and is_offered:
            self.take(layer)
        else:
            self._count()

    def add_source(self, row: QWidget) -> None:
        """Show a further way to come by prompts, above the others."""
        self._page.layout().insertWidget(0, row)

    def take(self, layer: Layer) -> None:
        """Choose a layer of those offered, and take the prompts from it."""
        self.panel.combo.set_layers(self._offered, layer)
        self.use_layer(layer)

    def use_layer(self, layer: Layer | None) -> None:
        """Take the prompts from a layer of the user."""
        self._layer, self._path = layer, None
        self._layer_connection.close()
        if isinstance(layer, Points | Shapes):
            changed = layer.events.data, lambda _: self._count_timer.start()
            self._layer_connection = Connections(changed)
        self._count()

    def use_file(self, path: Path) -> None:
        """Take the prompts from a file."""
        self.use_layer(None)
        self._path = path
        self.panel.combo.set_layers(self._offered, None)
        self._count()

    def start(self) -> None:
        """Segment one object per prompt on the chosen slices, in the background."""
        self._read(self._starting, self._start)

    def _on_plane_changed(self) -> None:
        if (place_in_stack := self._binding.plane.place_in_stack) is not None:
            self.panel.slices.show_stack(*place_in_stack)

    # Reading -----------------------------------------------------------------------------------

    def _count(self) -> None:
        """Show how many prompts there are, before a start."""
        self._counting.cancel()
        if self._layer is None and self._path is None:
            self.panel.show_source("", count=0)
        else:
            self._read(self._counting, self._show)

    def _recount(self) -> None:
        """Count again what was drawn, unless that is done when the page is shown."""
        if self.tab.is_current:
            self._count()

    def _read(
        self, queue: LatestWinsExecutor, on_read: Callable[[_ReadPrompts, ShownPlane], None]
    ) -> None:
        try:
            shown, read = self._binding.plane.require(), self._reader()
        except ValueError as error:
            self._refuse(str(error))
            return
        queue.submit(
            lambda _: read(),
            lambda content: on_read(content, shown),
            lambda error: self._refuse(user_message(error, "The prompts could not be read")),
        )

    def _reader(self) -> Callable[[], _ReadPrompts]:
        slices, shown = self.panel.slices.chosen, self._binding.plane.require()
        here = shown.view.slice_index
        if self._layer is not None and slices is not None:
            read_slices = self._binding.objects.prompts_on_slices(self._layer, slices)
            return lambda: (read_slices(), LeftOut())
        if self._layer is not None:
            read_layer = self._binding.objects.prompts_in(self._layer)
            with_regions = self._session.words.with_regions
            return lambda: ({here: with_regions(read_layer())}, LeftOut())
        if self._path is None:
            raise TargetError("Choose the layer or file with the prompts first.")
        image, view = shown.image, shown.view
        planes = {index: view.at_slice(index) for index in slices or (here,)}
        positions = {
            position: index
            for index, plane in planes.items()
            if (position := slice_in_files(plane, view.shape_nd)) is not None
        }
        if not positions:
            msg = "Prompt files are for rows and columns: roll the axes (Ctrl+E) to show them."
            raise TargetError(msg)
        path, names = self._path, names_in_files(image)
        about_axes = view.shape_nd, image.scale, image.units, image.axis_labels
        info = image_of_labels(name_in_files(image), *about_axes)

        def read_file() -> _ReadPrompts:
            left_out = LeftOut()
            prompts = read_prompts(path, info, names, left_out=left_out)
            return batch_prompts_of(prompts, positions, here), left_out

        return read_file

    def _refuse(self, reason: str) -> None:
        self.panel.show_source(reason, count=0)
        self._messages.warn(reason)

    def _show(self, content: _ReadPrompts, read_plane: ShownPlane) -> None:
        (prompts, left_out), shown = content, self._binding.plane.shown
        if shown is None:
            self.panel.show_source("", count=0)
            return
        if shown != read_plane:
            self._count()
            return
        where = self._path.name if self._path is not None else "the layer"
        on_slice = "on this slice " if shown.view.axes_of_planes else ""
        count, slices = sum(map(len, prompts.values())), self.panel.slices.chosen
        if slices is not None:
            on_slice = f"on {slices_in_words(slices)} "
        without = f"; {left_out}" if left_out else ""
        text = f"{counted(count)} {on_slice}in {where}{without}."
        self.panel.show_source(text, count=count)

    def _start(self, content: _ReadPrompts, read_plane: ShownPlane) -> None:
        if self._binding.plane.shown != read_plane:
            # The prompts lie on a slice that is no longer shown.
            self._messages.warn(
                "The slice changed meanwhile, so nothing was started. Press Segment all again."
            )
            return
        prompts, slices = content[0], self.panel.slices.chosen
        batch = self._session.batch_prompts
        try:
            if slices is None:
                batch.start([prompt for on_slice in prompts.values() for prompt in on_slice])
            else:
                batch.start_on_slices(prompts, slices)
        except TargetError as error:
            self._messages.warn(str(error))

    # From the session --------------------------------------------------------------------------

    def _on_progress(self) -> None:
        self.panel.show_progress(self._session.batch_prompts.state)


def batch_prompts_of(
    file_prompts: Sequence[FilePrompt], positions: Mapping[tuple[int, ...], int], here: int
) -> dict[int, list[BatchPrompt]]:
    """Return the prompts of a file by slice, given the positions of the slices.

    Those without a position lie on the shown slice, or on the nearest one.
    """
    indices = list(positions.values())
    nearest = min(max(here, indices[0]), indices[-1])
    prompts: dict[int, list[BatchPrompt]] = {index: [] for index in indices}
    for file_prompt in file_prompts:
        index = positions.get(file_prompt.slice_index) if file_prompt.slice_index else nearest
        if index is not None:
            prompts[index].append(BatchPrompt(prompts_of(file_prompt), file_prompt.class_name))
    return prompts
