"""Which planes probably follow the one that is shown."""

import pytest

from napari_sam.layers.plane_view import PlaneView


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
