"""Take the pictures of the documentation, in a real window.

    python scripts/screenshots.py                 # all of them, in a few minutes
    python scripts/screenshots.py start nuclei    # some of them

Run it after each change of what the window looks like; without a display, under
`sh scripts/on_screen.sh`. Each picture is a function below, of the same name.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pydicom
import sample_images
from moving_picture import one_minute
from numpy.typing import NDArray
from pictured_window import Window
from PIL import Image
from pydicom.data import get_testdata_file
from scipy import ndimage
from skimage import data, filters, measure, segmentation

from napari_sam.model import Predictor, load_model

FOLDER: Final = Path(__file__).parents[1] / "docs" / "images"
QUALITY: Final = 80


@contextmanager
def opened(predictor: Predictor, image: Any, **settings: Any) -> Iterator[Window]:
    """Open a window with an image, and close it in the end."""
    window = Window(predictor, lambda viewer: viewer.add_image(image, **settings))
    try:
        yield window
    finally:
        window.close()


def start(predictor: Predictor) -> Image.Image:
    """Show the three masks of one click."""
    with opened(predictor, data.coins(), name="coins") as window:
        window.click(211, 192)
        return window.picture()


def accepted(predictor: Predictor) -> Image.Image:
    """Show accepted objects and their table, with classes."""
    with opened(predictor, data.coins(), name="coins") as window:
        window.session.classes.add("gold")
        window.segment((104, 68), (211, 192), (157, 132))
        window.session.classes.add("silver")
        window.segment((345, 190), (46, 50), (265, 45), (100, 205))
        window.parts.classes.set_coloring(True)
        return window.picture()


def nuclei(predictor: Predictor) -> Image.Image:
    """Show nuclei in fluorescence, one of them in progress."""
    with opened(predictor, sample_images.nuclei(), name="nuclei") as window:
        window.look_at((160, 170), 3.0)
        window.segment((214, 209), (158, 213), (243, 118), (208, 94), (112, 160), (88, 134))
        window.click(198, 155)
        return window.picture()


def tissue(predictor: Predictor) -> Image.Image:
    """Show nuclei of stained tissue."""
    with opened(predictor, np.asarray(data.immunohistochemistry()), name="tissue") as window:
        window.look_at((400, 180), 5.0)
        window.segment((181, 393), (172, 425), (187, 416))
        window.click(208, 427)
        return window.picture()


def ct(predictor: Predictor) -> Image.Image:
    """Show a slice of computed tomography, and how it is shown to the model."""
    pixels = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False)).pixel_array
    with opened(predictor, pixels, name="CT", contrast_limits=(800, 1500)) as window:
        window.box(42, 6, 78, 48)
        window.accept()
        window.segment((59, 51))
        window.box(72, 0, 109, 26)
        appearance = window.parts.appearance.window
        appearance.toggle()
        return window.picture(appearance)


def stack(predictor: Predictor) -> Image.Image:
    """Show an object that was propagated through a stack."""
    settings = {"name": "stack", "axis_labels": ("z", "y", "x"), "scale": (2, 1, 1)}
    with opened(predictor, sample_images.stack(), **settings) as window:
        window.go_to(10)
        window.click(284, 130)
        window.parts.stack.tab.select()
        window.parts.stack.propagate(0)
        window.settle()
        window.go_to(8)
        return window.picture()


def film(predictor: Predictor) -> Image.Image:
    """Show tracks of cells that divide."""
    settings = {"name": "film", "axis_labels": ("t", "y", "x")}
    with opened(predictor, sample_images.film(), **settings) as window:
        window.go_to(0)
        window.parts.stack.tab.select()
        for x, y in ((35, 160), (152, 39), (261, 72), (130, 297)):
            window.click(x, y)
            window.parts.stack.propagate(1)
            window.settle()
            window.go_to(0)
        window.show_tracks()
        window.go_to(9)
        return window.picture()


def slide(predictor: Predictor) -> Image.Image:
    """Show a part of a whole slide."""
    with opened(predictor, sample_images.slide(), name="slide", multiscale=True) as window:
        window.look_at((1420, 1205), 3.0)
        window.click(1205, 1417)
        return window.picture()


def correcting(predictor: Predictor) -> Image.Image:
    """Show labels of another program, and one of them that is corrected."""
    image = sample_images.nuclei()
    with opened(predictor, image, name="nuclei") as window:
        labels = _labels_of(image)
        layer = window.viewer.add_labels(labels, name="cellpose labels")
        window.widget.binding.target.set_layer(layer)
        window.look_at((160, 190), 3.0)
        window.widget.binding.objects.reedit(int(labels[155, 198]))
        window.settle()
        return window.picture()


def boxes(predictor: Predictor) -> Image.Image:
    """Show the boxes of a detector, and the objects made of them."""
    image = sample_images.nuclei()
    with opened(predictor, image, name="nuclei") as window:
        layer = window.viewer.add_shapes(
            _boxes_of(image), name="detections", face_color="transparent", edge_color="cyan"
        )
        window.parts.batch_prompts.tab.select()
        window.parts.batch_prompts.use_layer(layer)
        window.settle()
        window.parts.batch_prompts.start()
        return window.picture()


def automatic(predictor: Predictor) -> Image.Image:
    """Show automatic masks."""
    with opened(predictor, data.coins(), name="coins") as window:
        window.parts.automatic.tab.select()
        window.parts.automatic.run_whole()
        return window.picture()


def like(predictor: Predictor) -> Image.Image:
    """Show what is like a few objects, the most similar one under review."""
    with opened(predictor, data.coins(), name="coins") as window:
        window.segment((104, 68), (211, 192), (157, 132))
        window.parts.automatic.tab.select()
        window.parts.automatic.run_like_these()
        window.settle()
        window.parts.automatic.panel.results.next.click()
        window.settle()
        window.viewer.reset_view()
        window.scroll_to(window.parts.automatic.panel.filters.like)
        return window.picture()


def fine_tuning(predictor: Predictor) -> Image.Image:
    """Show the window for training."""
    with opened(predictor, data.coins(), name="coins") as window:
        panel = window.parts.training.window
        panel.toggle()
        return window.picture(panel)


def models(predictor: Predictor) -> Image.Image:
    """Show the window of the models."""
    with opened(predictor, data.coins(), name="coins") as window:
        panel = window.parts.windows[0]
        panel.toggle()
        return window.picture(panel)


def _labels_of(image: NDArray[Any]) -> NDArray[np.int32]:
    """Return what a threshold makes of it, for want of a network: touching nuclei are one."""
    smooth = ndimage.gaussian_filter(image.astype(float), 2)
    labels: NDArray[np.int32] = measure.label(smooth > filters.threshold_otsu(smooth))
    return labels


def _boxes_of(image: NDArray[Any]) -> list[NDArray[np.int64]]:
    regions = measure.regionprops(segmentation.clear_border(_labels_of(image)))
    boxes_rc = [
        (top - 2, left - 2, bottom + 1, right + 1)
        for top, left, bottom, right in (region.bbox for region in regions)
    ]
    return [np.array([[a, b], [a, d], [c, d], [c, b]]) for a, b, c, d in boxes_rc]


SCENES: Final[dict[str, Callable[[Predictor], Image.Image]]] = {
    scene.__name__: scene
    for scene in (
        *(start, accepted, nuclei, tissue, ct, stack, film, slide, correcting, boxes),
        *(automatic, like, fine_tuning, models),
    )
}


def main() -> None:
    """Take the pictures that are asked for."""
    names = *SCENES, one_minute.__name__
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    predictor = Predictor(load_model())
    with TemporaryDirectory() as folder:
        for variable in ("JOURNALS", "SETTINGS", "EMBEDDINGS"):
            os.environ[f"NAPARI_SAM_{variable}"] = str(Path(folder) / variable)
        for name in arguments.names or names:
            path = arguments.folder / f"{name}.webp"
            if name in SCENES:
                SCENES[name](predictor).save(path, quality=QUALITY, method=6)
            else:
                one_minute(predictor, path)
            print(f"{path}: {path.stat().st_size // 1000} kB", flush=True)


if __name__ == "__main__":
    main()
