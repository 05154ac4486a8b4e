"""The Labels layer that accepted objects go to: chosen by the user, or made when needed."""

from functools import partial
from math import prod
from typing import Final
from weakref import WeakKeyDictionary

from napari.layers import Image, Labels
from psygnal import Signal

from napari_sam.layers.image_references import IMAGE_KEY, name_in_files
from napari_sam.layers.plane_binding import PlaneBinding
from napari_sam.layers.plane_view import ShownPlane, levels
from napari_sam.layers.shortcuts import tool_command
from napari_sam.layers.target import TargetLayer, new_target_layer
from napari_sam.layers.target_checks import check_target, grown_shape
from napari_sam.layers.target_plane import TargetPlane
from napari_sam.layers.viewer_layers import was_made_for
from napari_sam.layers.workspace import Workspace
from napari_sam.session.jobs import user_message
from napari_sam.session.objects.brush_history import StrokeIds
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import ObjectRecord

_MAX_SCANNED_PX: Final = 2**21
"""Labels with more pixels are read in the background."""


_TOOLS: Final = ("points", "rectangle", "polygon", "scribble", "line")
"""Those with keys that work in the target, too: E erases there, and L picks a label."""


class TargetBinding:
    """Chooses the target for the image that is shown, and follows the layers that are targets."""

    changed = Signal(object)
    """The Labels layer (or None for one to be made) that accepted objects go to."""
    deleted = Signal(TargetLayer)
    """What the user has deleted, whether or not objects go to it now."""

    def __init__(self, workspace: Workspace, plane: PlaneBinding) -> None:
        self._layers, self._session, self._plane = workspace.layers, workspace.session, plane
        self._defer = workspace.defer
        self._executor = workspace.session.background.executor("scan", is_bulky=True)
        self._target: TargetLayer | None = None
        # One for each layer, also after another was chosen: edits to be undone hold on to it.
        self._followed: dict[Labels, TargetLayer] = {}
        # What the user chose, None being a new layer, or what was made.
        self._chosen: WeakKeyDictionary[Image, Labels | None] = WeakKeyDictionary()
        # What is the target again if a layer cannot be read.
        self._former: dict[Labels, Labels | None] = {}
        self._session.target_needed.connect(self._make)
        self._session.brush_history.moved.connect(self._move_strokes)
        self._shortcuts = workspace.shortcuts

    def close(self) -> None:
        """Stop following all layers; the objects stay."""
        self._session.target_needed.disconnect(self._make)
        self._session.brush_history.moved.disconnect(self._move_strokes)
        for layer, target in self._followed.items():
            self._shortcuts.unbind(layer)
            target.close()

    # The target in use -------------------------------------------------------------------------

    @property
    def layer(self) -> Labels | None:
        """The layer that accepted objects go to; None: a new one will be made."""
        return None if self._target is None else self._target.layer

    @property
    def labels(self) -> TargetLayer | None:
        """The target with its object records; None until these are known, too."""
        return self._target if self._target is not None and self._target.is_scanned else None

    @property
    def labels_plane(self) -> TargetPlane | None:
        """The plane of the target that is shown."""
        view = self._plane.view
        if self._target is None or view is None:
            return None
        return TargetPlane(self._target, view.for_labels(self._target.layer.ndim))

    def set_layer(self, layer: Labels | None) -> None:
        """Choose the layer that accepted objects go to; None: a new one named after the image.

        A large layer is read in the background; until its objects are known, none is edited.
        """
        if layer is self.layer:
            return
        former, image, view = self.layer, self._plane.image, self._plane.view
        if layer is not None and image is not None and view is not None:
            if was_made_for(layer, image):
                self._grow(layer, ShownPlane(image, view))
            check_target(layer, image, view)
        if image is not None:
            self._chosen[image] = layer
        self._use(layer)
        if layer is not None and self.labels is None:
            self._former[layer] = former
        self._session.set_target(self.labels_plane)
        self.changed.emit(layer)

    def require(self) -> TargetLayer | None:
        """Return the target, a new one if there was none; None without an image.

        Raises TargetError until the objects of a large layer are known.
        """
        if self._target is None:
            self._make()
        return None if self._target is None else self._target.require_scanned()

    def _use(self, layer: Labels | None) -> None:
        self._target = None if layer is None else self._follow(layer)
        if layer is not None and self._plane.image is not None:
            # napari's own dialog hands only this layer to the writers.
            layer.metadata[IMAGE_KEY] = name_in_files(self._plane.image)

    def _follow(self, layer: Labels) -> TargetLayer:
        if layer not in self._followed:
            target = TargetLayer(layer, self._defer, is_scanned_later=_is_large)
            self._add_followed(layer, target)
            self._scan_next()
        return self._followed[layer]

    def _add_followed(self, layer: Labels, target: TargetLayer) -> None:
        """Make its strokes steps of the session's history, which its undo keys act on, too.

        The key that has selected the brush also puts it away, as do those of other tools.
        """
        self._followed[layer] = target
        strokes, run = self._session.brush_history, self._shortcuts.run
        target.drawn.connect(strokes.note)
        target.unread.connect(partial(self._on_unread, target))
        target.moved.connect(
            lambda ids, is_undone: strokes.follow(target, ids, is_undone=is_undone)
        )
        commands = "undo", "redo", "brush", "select_object", *map(tool_command, _TOOLS)
        keys = {command: partial(run, command) for command in commands}
        self._shortcuts.bind(layer, keys)

    def _drop_followed(self, layer: Labels) -> TargetLayer:
        self._shortcuts.unbind(layer)
        return self._followed.pop(layer)

    @staticmethod
    def _move_strokes(target: TargetLayer, stroke_ids: StrokeIds, is_undone: bool) -> None:
        target.move_strokes(stroke_ids, is_undone=is_undone)

    def _on_unread(self, target: TargetLayer) -> None:
        """Handle that a target has other data whose objects are to be found."""
        if target is self._target:
            self._session.set_target(self.labels_plane)
            self.changed.emit(target.layer)
        self._scan_next()

    def _scan_next(self) -> None:
        """Find the objects of large layers in the background, of one after the other."""
        unread = [target for target in self._followed.values() if not target.is_scanned]
        target = self._target if self._target in unread else next(iter(unread), None)
        if target is None or not self._executor.is_idle:
            return
        layer, n_replaced = target.layer, target.n_replaced

        def on_found(records: list[ObjectRecord]) -> None:
            if target.n_replaced != n_replaced:  # it has other data since
                self._scan_next()
                return
            target.register(records)
            self._former.pop(layer, None)
            if target is self._target:
                self._session.set_target(self.labels_plane)
                self.changed.emit(layer)
            self._scan_next()

        def on_failed(error: BaseException) -> None:
            # Else it was deleted, or has other data since.
            if layer in self._followed and target.n_replaced == n_replaced:
                self._session.notifier.warn(
                    user_message(error, f"'{target.name}' could not be read")
                )
                self._give_up(layer)
            self._scan_next()

        self._executor.submit(lambda job: target.scan(job.check), on_found, on_failed)

    def _give_up(self, layer: Labels) -> None:
        """Return to the target before a layer that cannot be read."""
        self._drop_followed(layer).close()
        former = self._former.pop(layer, None)
        target = None if former is None else self._followed.get(former)
        # One that is still unread may be unreadable, too.
        is_usable = former in self._layers and target is not None and target.is_scanned
        self._choose_instead_of(layer, former if is_usable else None)

    def _grow(self, layer: Labels, shown: ShownPlane) -> None:
        """Add slices to labels of an image that has more by now."""
        shape = grown_shape(layer, shown.image, shown.view)
        if shape is not None:
            self._follow(layer).grow(shape)

    # Another image or plane ----------------------------------------------------------------------

    def restore(self, image: Image | None) -> None:
        """Use what was chosen for an image of which no plane is shown, whether or not it fits."""
        self._use(None if image is None else self._chosen.get(image))

    def settle(self, shown: ShownPlane) -> str | None:
        """Use what was chosen for the shown image if it fits, else what was made for it.

        Returns a message about it if the target is another one by that.
        """
        before, reason, fitting = self.layer, "", None
        for layer in self._candidates_for(shown.image):
            self._grow(layer, shown)
            try:
                check_target(layer, shown.image, shown.view)
            except TargetError as error:
                reason = reason or str(error)
            else:
                fitting = layer
                break
        if fitting is before:
            return None
        self._use(fitting)
        if before is None:
            return ""
        if fitting is None:
            return reason
        return (
            f"'{before.name}' no longer matches the image; new objects are written to "
            f"'{fitting.name}'."
        )

    def _candidates_for(self, image: Image) -> list[Labels]:
        """Return the target in use, that of the image, and those made for it, the newest first."""
        if self.layer is None and self._chosen.get(image, image) is None:
            return []  # the user wants a new one
        own_layers = [layer for layer in self._layers.of_type(Labels) if was_made_for(layer, image)]
        layers = [self.layer, self._chosen.get(image), *reversed(own_layers)]
        return [layer for layer in dict.fromkeys(layers) if layer is not None]

    def announce(self, message: str = "") -> None:
        """Send `changed`, and a warning if there is a message."""
        self.changed.emit(self.layer)
        if message:
            self._session.notifier.warn(message)

    # Layers ----------------------------------------------------------------------------------

    def _make(self) -> None:
        shown = self._plane.shown
        if shown is not None:
            layer = new_target_layer(shown.image, shown.view)
            self.add(layer, self.follow(layer), shown.image)

    def follow(self, layer: Labels) -> TargetLayer:
        """Return an empty layer that is not in the viewer yet, as what takes objects."""
        return TargetLayer(layer, self._defer, is_empty=True, is_scanned_later=_is_large)

    def add(self, layer: Labels, target: TargetLayer, image: Image) -> None:
        """Add a layer, as it is followed, to the viewer, and write objects of an image into it."""
        self._add_followed(layer, target)
        beneath = [
            other
            for other in self._layers.of_type(Image, Labels)
            if other is image or was_made_for(other, image)
        ]
        self._layers.add(layer, above=beneath[-1] if beneath else None)
        if image is self._plane.image:
            self.set_layer(layer)
        else:
            self._chosen[image] = layer

    def forget(self, layer: Labels) -> None:
        """Handle the deletion of a layer: no image has it as its target any more."""
        if layer in self._followed:
            gone = self._drop_followed(layer)
            gone.mark_gone()
            self.deleted.emit(gone)
        self._former.pop(layer, None)
        self._choose_instead_of(layer, None)

    def _choose_instead_of(self, layer: Labels, other: Labels | None) -> None:
        """Choose another target wherever a layer is the target."""
        if layer is self.layer:
            try:
                self.set_layer(other)
            except TargetError:  # it no longer fits
                self.set_layer(None)
        for image in [image for image, chosen in self._chosen.items() if chosen is layer]:
            self._chosen[image] = other


def _is_large(layer: Labels) -> bool:
    return bool(prod(levels(layer)[0].shape) > _MAX_SCANNED_PX)
