"""Drive the dock with a model of your own: here, a magic wand that needs no network at all.

    python examples/custom_engine.py

An engine has two halves. The encoder runs once per image, the decoder for each prompt; what one
hands to the other are named arrays. `napari_sam.engine.protocols` describes both.
"""

import napari
import numpy as np
from scipy import ndimage
from skimage import data

from napari_sam.engine.embeddings import ArrayEmbedding
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.protocols import Engine
from napari_sam.engine.spec import ArraySpec, ModelSpec
from napari_sam.widget import SamWidget

SIDE, GRID = 512, 128
SPEC = ModelSpec(SIDE, GRID, (ArraySpec("gray", (1, GRID, GRID)),), candidate_count=3)
TOLERANCES = (12, 25, 50)
"""Of the three masks: how much the gray value may differ from that at the click."""


class WandEncoder:
    """Keeps the gray values on a coarse grid."""

    spec, fingerprint = SPEC, "magic wand 1"

    def encode(self, image: np.ndarray, on_block=None) -> ArrayEmbedding:
        """Return the gray values: `image` is (H, W, 3) uint8."""
        gray = ndimage.gaussian_filter(image.mean(axis=2, dtype=np.float32), 1)
        places = ((np.arange(GRID) + 0.5) * max(gray.shape) / GRID).astype(int)
        rows, columns = (places.clip(0, length - 1) for length in gray.shape)
        arrays = {"gray": gray[np.ix_(rows, columns)][None]}
        return ArrayEmbedding.from_arrays(arrays, image.shape[:2], SPEC)


class WandDecoder:
    """Finds what is connected with the click and about as bright."""

    spec, device = SPEC, "cpu"

    def warm_up(self) -> None:
        """Do nothing: it is fast from the beginning."""

    def from_arrays(self, arrays, original_size) -> ArrayEmbedding:
        """Take an embedding that was stored."""
        return ArrayEmbedding.from_arrays(arrays, original_size, SPEC)

    def decode(
        self,
        embedding: ArrayEmbedding,
        points_xy=None,
        point_labels=None,
        box_xyxy=None,
        mask_input=None,
        multimask_output=True,
    ) -> MaskPrediction:
        """Return the masks of the first point, or of the middle of the box."""
        if points_xy is None:
            x0, y0, x1, y1 = box_xyxy
            points_xy = [((x0 + x1) / 2, (y0 + y1) / 2)]
        gray = embedding.to_arrays()["gray"][0]
        cell_px = max(embedding.original_size) / GRID
        column, row = (np.asarray(points_xy[0]) / cell_px).astype(int).clip(0, GRID - 1)
        masks = []
        for tolerance in TOLERANCES if multimask_output else TOLERANCES[1:2]:
            parts, _ = ndimage.label(abs(gray - gray[row, column]) <= tolerance)
            masks.append(parts == parts[row, column])
        logits = np.where(masks, 10, -10).astype(np.float32)
        scores = np.linspace(0.9, 0.8, len(masks), dtype=np.float32)
        size = embedding.original_size
        return MaskPrediction(logits, scores, size, SPEC.input_size(size), SIDE)

    def decode_batch(
        self,
        embedding: ArrayEmbedding,
        points_xy=None,
        point_labels=None,
        boxes_xyxy=None,
        multimask_output=True,
    ) -> list[MaskPrediction]:
        """Return the masks of many prompts, one by one."""
        points = [None] * len(boxes_xyxy) if points_xy is None else points_xy
        boxes = [None] * len(points) if boxes_xyxy is None else boxes_xyxy
        return [
            self.decode(embedding, point, box_xyxy=box, multimask_output=multimask_output)
            for point, box in zip(points, boxes, strict=True)
        ]


def load_wand(choice=None, runtime=None) -> Engine:
    """Return the engine, as `AnnotationSession` and the widget load it."""
    return Engine(WandEncoder(), WandDecoder())


def main() -> None:
    """Open the coins in a window, with the magic wand in the dock."""
    viewer = napari.Viewer()
    viewer.add_image(data.coins(), name="coins")
    widget = SamWidget(viewer, load_predictor=load_wand)
    viewer.window.add_dock_widget(widget, name="Magic wand")
    widget.binding.prompts.start_points()
    napari.run()


if __name__ == "__main__":
    main()
