"""Which planes are prepared, and what they are called."""

import pytest

from napari_sam.layers.plane_view import PlaneView
from napari_sam.layers.slices import every_plane, stack_around, stack_size


def view(*index, shape=(2, 5, 30, 40)):
    return PlaneView(shape, 2, 3, (*index, 0, 0))


def test_a_stack_goes_on_from_the_plane_and_then_back():
    stack = stack_around(view(1, 2))
    assert stack == {
        "slice 2": view(1, 2),
        "slice 3": view(1, 3),
        "slice 4": view(1, 4),
        "slice 1": view(1, 1),
        "slice 0": view(1, 0),
    }
    assert list(stack) == ["slice 2", "slice 3", "slice 4", "slice 1", "slice 0"]
    assert stack_size(view(1, 2)) == 5


def test_an_axis_of_length_one_has_no_slider():
    one = view(1, 0, shape=(3, 1, 30, 40))
    assert stack_size(one) == 3
    assert list(stack_around(one)) == ["slice 1", "slice 2", "slice 0"]


@pytest.mark.parametrize("one", [PlaneView((30, 40), 0, 1, (0, 0)), view(0, 0, shape=(1, 1, 3, 4))])
def test_a_single_plane_is_no_stack(one):
    assert stack_size(one) == 1
    assert stack_around(one) == every_plane(one) == {"the plane": one}


def test_every_plane_is_at_every_position_of_every_slider():
    planes = every_plane(view(1, 2))
    assert len(planes) == 10
    assert planes["slice 0, 3"] == view(0, 3)
    assert set(planes.values()) == {view(t, z) for t in range(2) for z in range(5)}


def test_without_an_image_there_is_no_stack():
    assert stack_size(None) == 1
