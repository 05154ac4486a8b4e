"""Open an image in napari with the boxes of a detector, ready for *Segment all* in the tab *Batch*.

    python examples/detector_boxes.py

The detector here is a threshold. Put your own in the place of `detect`.
"""

import napari
import numpy as np
from skimage import data, filters, measure, segmentation

from napari_sam.cli.main import dock_widget

LEAST_AREA_PX = 200


def detect(image: np.ndarray) -> list[tuple[float, float, float, float, str]]:
    """Return x0, y0, x1, y1 and the class of what is found."""
    bright = image > filters.threshold_otsu(image)
    spots = measure.regionprops(measure.label(segmentation.clear_border(bright)))
    boxes = [spot.bbox for spot in spots if spot.area >= LEAST_AREA_PX]
    return [(left, top, right - 1, bottom - 1, "coin") for top, left, bottom, right in boxes]


def add_boxes(viewer: napari.Viewer, image: np.ndarray) -> napari.layers.Shapes:
    """Add a layer with a rectangle for each detection, in the order of napari's axes: y, x."""
    found = detect(image)
    corners_rc = [[[y0, x0], [y0, x1], [y1, x1], [y1, x0]] for x0, y0, x1, y1, _ in found]
    return viewer.add_shapes(
        [np.array(corners) for corners in corners_rc],
        shape_type="rectangle",
        features={"class": [name for *_, name in found]},
        name="detections",
        face_color="transparent",
        edge_color="cyan",
    )


def main() -> None:
    """Open the window."""
    image = data.coins()
    viewer = napari.Viewer()
    viewer.add_image(image, name="coins")
    dock_widget(viewer)
    add_boxes(viewer, image)
    napari.run()


if __name__ == "__main__":
    main()
