"""Which planes are next to the one that is shown, and what they are called."""

import pytest

from napari_sam.layers.plane_view import PlaneView, every_plane


def view(*index, shape=(9, 8, 30, 40)):
    return PlaneView(shape, 2, 3, (*index, 0, 0))


@pytest.mark.parametrize(
    ("before", "now", "following"),
    [
        (None, view(4, 4), [view(4, 5), view(4, 3)]),
        (view(4, 3), view(4, 4), [view(4, 5), view(4, 6)]),
        (view(4, 5), view(4, 4), [view(4, 3), view(4, 2)]),
        (view(2, 4), view(4, 4), [view(6, 4), view(8, 4)]),
        (view(4, 6), view(4, 7), []),
        (view(3, 3), view(4, 4), [view(4, 5), view(4, 3)]),  # no direction
        (view(4, 3, shape=(9, 8, 30, 41)), view(4, 4), [view(4, 5), view(4, 3)]),
        (None, PlaneView((30, 40), 0, 1, (0, 0)), []),
        (
            None,
            view(4, 0, shape=(9, 1, 30, 40)),
            [view(n, 0, shape=(9, 1, 30, 40)) for n in (5, 3)],
        ),
    ],
)
def test_following_planes(before, now, following):
    assert now.following(before) == following


def stack_view(*index, shape=(2, 5, 30, 40)):
    return view(*index, shape=shape)


def test_a_stack_goes_on_from_the_plane_and_then_back():
    stack = stack_view(1, 2).stack_around()
    assert stack == {
        "slice 2": stack_view(1, 2),
        "slice 3": stack_view(1, 3),
        "slice 4": stack_view(1, 4),
        "slice 1": stack_view(1, 1),
        "slice 0": stack_view(1, 0),
    }
    assert list(stack) == ["slice 2", "slice 3", "slice 4", "slice 1", "slice 0"]
    assert stack_view(1, 2).stack_size == 5


def test_an_axis_of_length_one_has_no_slider():
    one = stack_view(1, 0, shape=(3, 1, 30, 40))
    assert one.stack_size == 3
    assert list(one.stack_around()) == ["slice 1", "slice 2", "slice 0"]


@pytest.mark.parametrize(
    "one", [PlaneView((30, 40), 0, 1, (0, 0)), stack_view(0, 0, shape=(1, 1, 3, 4))]
)
def test_a_single_plane_is_no_stack(one):
    assert one.stack_size == 1
    assert one.stack_around() == every_plane(one) == {"the plane": one}


def test_every_plane_is_at_every_position_of_every_slider():
    planes = every_plane(stack_view(1, 2))
    assert len(planes) == 10
    assert planes["slice 0, 3"] == stack_view(0, 3)
    assert set(planes.values()) == {stack_view(t, z) for t in range(2) for z in range(5)}
