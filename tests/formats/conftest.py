import numpy as np
import pytest

from napari_sam.formats import Annotations, ExportObject, ImageInfo, ObjectClass
from tests.formats.cases import DIAMOND, KNOT, NAMES, PIECES, RING, random_objects


@pytest.fixture
def annotations() -> Annotations:
    """Return objects of all kinds in one image: overlapping, touching, with and without holes."""
    classes = [ObjectClass.from_rgb(name, (10 * at, 200, 30 + at)) for at, name in enumerate(NAMES)]
    objects = [
        ExportObject(1, RING, 0, 0, (), NAMES[0], 0.5),
        ExportObject(2, RING, 2, 3, (), NAMES[1]),  # overlaps the first
        ExportObject(70_000, DIAMOND, 8, 10, (), NAMES[2], 0.25),
        ExportObject(4, PIECES, 13, 0, (), NAMES[3]),
        ExportObject(5, KNOT, 3, 12, (), NAMES[4], 1.0),
        ExportObject(6, np.ones((2, 3), bool), 15, 14, (), NAMES[0]),
        ExportObject(7, np.ones((1, 1), bool), 16, 13, (), NAMES[0]),  # touches the one before
        ExportObject(8, np.ones((17, 1), bool), 0, 9, (), NAMES[1]),  # a whole column
    ]
    image = ImageInfo((17, 19), "細胞.tif", pixel_size=(0.5, 0.25), units=("um", "µm"))
    return Annotations(image, objects, classes)


@pytest.fixture
def stack() -> Annotations:
    """Return objects on some slices of a (T, Z, Y, X) image."""
    image = ImageInfo(
        (2, 3, 11, 13),
        "stack.ome.tif",
        pixel_size=(30, 2, 0.5, 0.5),
        units=("second", "micrometer", "micrometer", "micrometer"),
    )
    return Annotations(image, random_objects(12, image.shape, seed=3))
