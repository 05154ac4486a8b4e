"""The layer with the boxes of what words name, which the user may change."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_sam.engine.detection import Detection
from napari_sam.layers.plane_view import ShownPlane, placement
from napari_sam.layers.viewer_layers import ViewerLayers

_OWN_SCORE: Final = 1.0
_OWN_NUMBER: Final = -1
"""The score and the number of a shape that the user draws."""


class WordBoxes:
    """Adds and removes boxes as detections come and go; what the user did in between stays.

    A box that the user deleted comes back only once its detection has gone and come again.
    """

    def __init__(self, layers: ViewerLayers) -> None:
        self._layers = layers
        self._drawn: dict[int, Detection] = {}  # by their numbers in the layer
        self._count = 0
        self._shown: ShownPlane | None = None
        self.layer: Shapes | None = None
        """The layer; None before the first box, and when it is deleted."""

    def begin(self, shown: ShownPlane) -> None:
        """Begin with the detections on a plane; the boxes of others go."""
        self.show(())
        self._shown = shown

    def forget(self) -> None:
        """Handle that the layer was deleted."""
        self.layer = None
        self._drawn.clear()

    def show(self, detections: Sequence[Detection]) -> None:
        """Show the boxes of these detections."""
        wanted = {id(detection) for detection in detections}
        gone = {number for number, one in self._drawn.items() if id(one) not in wanted}
        known = {id(detection) for detection in self._drawn.values()}
        new = [detection for detection in detections if id(detection) not in known]
        if self.layer is not None and gone:
            self._remove(self.layer, gone)
        for number in gone:
            del self._drawn[number]
        if new and self._shown is not None and self._shown.image in self._layers:
            self._add(self._shown, new)

    @staticmethod
    def _remove(layer: Shapes, numbers: set[int]) -> None:
        rows = enumerate(layer.features["number"])
        layer.selected_data = {row for row, number in rows if number in numbers}
        layer.remove_selected()

    def _add(self, shown: ShownPlane, detections: Sequence[Detection]) -> None:
        numbers = range(self._count, self._count + len(detections))
        self._count += len(detections)
        self._drawn.update(zip(numbers, detections, strict=True))
        boxes = [shown.view.to_rc(_corners_xy(detection)) for detection in detections]
        features: dict[str, list[Any]] = {
            "class": [detection.word for detection in detections],
            "score": [round(detection.score, 4) for detection in detections],
            "number": [*numbers],
        }
        if self.layer is None:
            self.layer = _new_layer(shown, boxes, features)
            self._layers.add(self.layer)
        else:
            before = self.layer.features
            features = {name: [*before[name], *values] for name, values in features.items()}
            self.layer.add_rectangles(boxes)
            self.layer.features = features
        own = {"class": detections[0].word, "score": _OWN_SCORE, "number": _OWN_NUMBER}
        self.layer.feature_defaults = own


def _new_layer(
    shown: ShownPlane, boxes: Sequence[NDArray[np.float64]], features: dict[str, list[Any]]
) -> Shapes:
    return Shapes(
        boxes,
        shape_type="rectangle",
        name=f"{shown.image.name}: words",
        features=features,
        text={"string": "{class} {score:.2f}", "anchor": "upper_left", "color": "#29b6ff"},
        edge_color="#29b6ff",
        face_color="transparent",
        edge_width=max(1, max(shown.view.shape) / 500),
        **placement(shown.image),
    )


def _corners_xy(detection: Detection) -> NDArray[np.float64]:
    x0, y0, x1, y1 = detection.box_xyxy
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
