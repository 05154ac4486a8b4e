"""Keeps the Tracks layer of a target up to date while it is shown."""

from typing import Any

from napari.utils.events import Event
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.layers.target import TargetLayer
from napari_sam.layers.target_binding import TargetBinding
from napari_sam.layers.tracks_layer import TracksLayer
from napari_sam.layers.workspace import Workspace
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import DeferredCall, log_failure
from napari_sam.session.tracks.lineage import Lineages
from napari_sam.session.tracks.points import TrackPoints


class ShownTracks:
    """Measures the tracks of the target in the background, and shows them as a layer."""

    deleted = Signal()
    """The user has deleted the layer: it is shown no more."""

    def __init__(self, workspace: Workspace, target: TargetBinding) -> None:
        self._layers, self._target = workspace.layers, target
        self._executor = workspace.session.background.executor("tracks", is_bulky=True)
        self._layer = TracksLayer(workspace.layers)
        self._axis: int | None = None
        self._measured: tuple[TargetLayer, TrackPoints] | None = None
        self._records = Connections()
        self._update_soon = DeferredCall(workspace.defer, self._update)
        self._connections = Connections(
            (target.changed, self._on_target_changed),
            (workspace.viewer.layers.events.removed, self._on_layer_removed),
        )

    @property
    def is_shown(self) -> bool:
        """Whether the tracks are shown, as soon as there are some."""
        return self._axis is not None

    @property
    def is_due(self) -> bool:
        """Whether the layer is about to be updated."""
        return self._update_soon.is_due

    def close(self) -> None:
        """Remove the layer."""
        self._connections.close()
        self.show(None)

    def show(self, axis: int | None) -> None:
        """Show the tracks along an axis of the target; None: show none."""
        if axis == self._axis:
            return
        self._axis = axis
        self._follow()

    def _on_target_changed(self) -> None:
        if self.is_shown:
            self._follow()

    def _on_layer_removed(self, event: Event) -> None:
        if event.value is self._layer.layer and not self._layers.is_changing:
            self.show(None)
            self.deleted.emit()

    def _follow(self) -> None:
        self._records.close()
        self._executor.cancel()
        self._layer.remove()
        target, self._measured = self._target.labels, None
        if self._axis is not None and target is not None:
            self._measured = target, TrackPoints(target, self._axis)
            self._records = Connections((target.registry.changed, self._update_soon.request))
            self._update_soon.request()

    def _update(self) -> None:
        if self._measured is None:
            return
        target, points = self._measured
        if target.is_gone:
            return
        records = tuple(target.registry)
        self._executor.submit(
            lambda _: points.update(records),
            lambda measured: self._show(target, points, measured),
            lambda error: log_failure(error, "Tracks could not be measured"),
        )

    def _show(self, target: TargetLayer, points: TrackPoints, measured: NDArray[Any]) -> None:
        if self._measured != (target, points) or self._axis is None or target.is_gone:
            return
        self._layer.show(target.layer, measured, Lineages(target.registry, self._axis))
