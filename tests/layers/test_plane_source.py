"""The request that shows a plane to a session."""

import numpy as np
import pytest
from napari.components import Dims
from napari.layers import Image

from napari_sam.layers.plane_source import PlaneSource
from napari_sam.layers.plane_view import displayed_plane
from napari_sam.session import AnnotationSession

VISIBLE = (0.0, 0.0, 40.0, 30.0)
PIXELS = np.arange(5 * 30 * 40, dtype=np.uint16).reshape(5, 30, 40)


@pytest.fixture
def source():
    session = AnnotationSession()
    yield PlaneSource(session)
    session.close()


def shown(image, slice_index):
    dims = Dims(ndim=3, range=((0, 4, 1), (0, 29, 1), (0, 39, 1)))
    dims.set_point(0, slice_index)
    return displayed_plane(image, dims)


def test_a_request_has_the_pixels_and_the_neighbors_of_the_plane(source):
    image = Image(PIXELS, name="stack")
    request = source.request(image, shown(image, 2), shown(image, 1), VISIBLE)
    rows, columns = slice(0, 30), slice(0, 40)
    np.testing.assert_array_equal(request.plane.data[rows, columns], PIXELS[2])
    neighbors = [plane.data[rows, columns] for plane in request.neighbors]
    np.testing.assert_array_equal(neighbors, PIXELS[[3, 4]])
    assert (request.slice_index, request.view, request.refusal) == (2, VISIBLE, "")
    assert request.target is None
    assert request.prompts is None


def test_the_same_plane_has_the_same_request_until_its_image_changes(source):
    image = Image(PIXELS, name="stack")
    request, again = (source.request(image, shown(image, 2), None, VISIBLE) for _ in range(2))
    assert request.is_same_plane(again)
    assert not request.is_same_plane(source.request(image, shown(image, 3), None, VISIBLE))
    other = Image(PIXELS, name="stack")
    assert not request.is_same_plane(source.request(other, shown(other, 2), None, VISIBLE))
    assert source.image_of(request.key) is image
    edited = source.request(image, shown(image, 2), None, VISIBLE, "other pixels")
    assert edited.key == request.key
    assert not request.is_same_plane(edited)
    longer = Image(np.concatenate([PIXELS, PIXELS]), name="longer")
    image.data = longer.data
    assert request.is_same_plane(source.request(image, shown(image, 2), None, VISIBLE))
    source.count_version(image)
    changed = source.request(image, shown(image, 2), None, VISIBLE)
    assert changed.key == request.key
    assert not request.is_same_plane(changed)
