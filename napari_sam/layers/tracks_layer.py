"""A Tracks layer of napari that shows how the objects of a target move and divide."""

from typing import Any, Final

import numpy as np
from napari.layers import Labels, Tracks
from numpy.typing import NDArray

from napari_sam.layers.plane_view import placement
from napari_sam.layers.viewer_layers import OWN_MARK, ViewerLayers
from napari_sam.session.tracks.lineage import Lineages

_MARK: Final = {OWN_MARK: "tracks"}
_LINEAGE: Final = "lineage"


class FounderColors:
    """Colors by lineage: what descends from one object has the color of its label."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels

    def map(self, founder_ids: NDArray[Any]) -> NDArray[np.float32]:
        """Return the color (N, 4) of each founder's label."""
        unique, places = np.unique(np.asarray(founder_ids, np.int64), return_inverse=True)
        colors = [self._labels.get_color(int(label_id)) for label_id in unique]
        visible = [(1, 1, 1, 1) if color is None else color for color in colors]
        return np.asarray(visible, np.float32).reshape(-1, 4)[places]


class TracksLayer:
    """Shows tracks above their labels; the user may hide, restyle or delete the layer."""

    def __init__(self, layers: ViewerLayers) -> None:
        self._layers = layers
        self.layer: Tracks | None = None
        """The layer; None while there is nothing to show."""

    def show(self, labels: Labels, points: NDArray[np.float64], lineages: Lineages) -> None:
        """Show the points of tracks, as `TrackPoints` has them, with their lineages.

        Time is the first axis of the labels: napari knows no other.
        """
        kept = [n for n, label_id in enumerate(points[:, 0]) if lineages.get(int(label_id))]
        points = points[kept]
        present = set(points[:, 0].astype(int).tolist())
        if not present:
            self.remove()
            return
        graph = {n: parents for n, parents in lineages.graph.items() if {n, *parents} <= present}
        founders = {label_id: lineages.founder_of(label_id) for label_id in present}
        features = {
            "track_id": points[:, 0].astype(int),
            _LINEAGE: np.array([founders[int(label_id)] for label_id in points[:, 0]]),
        }
        if self.layer is None or self.layer not in self._layers:
            self._add(labels, points, graph, features)
            return
        layer, color_by = self.layer, self.layer.color_by
        layer.color_by = "track_id"  # new points have no lineages at first
        layer.data = points
        layer.features = features
        layer.colormaps_dict = {_LINEAGE: FounderColors(labels)}
        layer.graph = graph
        layer.color_by = color_by

    def remove(self) -> None:
        """Show nothing."""
        layer, self.layer = self.layer, None
        self._layers.remove(layer)

    def _add(
        self,
        labels: Labels,
        points: NDArray[np.float64],
        graph: dict[int, list[int]],
        features: dict[str, NDArray[Any]],
    ) -> None:
        self.layer = Tracks(
            points,
            graph=graph,
            features=features,
            color_by=_LINEAGE,
            colormaps_dict={_LINEAGE: FounderColors(labels)},
            name=f"{labels.name}: tracks",
            metadata=dict(_MARK),
            **placement(labels),
        )
        self._layers.add(self.layer, above=labels)
