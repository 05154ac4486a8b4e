"""One request shows a plane, and only what differs is done again."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts, TargetError
from napari_sam.session.plane_request import PlaneRequest

SIZE = (60, 80)
CLICK = Prompts(((20.0, 30.0),), (1,))


def plane():
    return ImagePlane(np.zeros(SIZE, np.uint8))


def target():
    return ArrayPlane(np.zeros(SIZE, np.uint16))


class Opened:
    def __init__(self):
        self.session = AnnotationSession()
        self.states = []
        self.session.changed.connect(self.states.append)

    def show(self, request):
        self.states.clear()
        self.session.show(request)
        return len(self.states)


@pytest.fixture
def opened():
    opened = Opened()
    yield opened
    opened.session.close()


def test_one_request_sends_one_snapshot(opened):
    labels = target()
    request = PlaneRequest(
        plane(), "a", view=(0, 0, 80, 60), neighbors=(plane(),), target=labels, prompts=CLICK
    )
    assert opened.show(request) == 1
    state = opened.states[-1]
    assert state.has_image
    assert state.prompts.points_xy == CLICK.points_xy
    assert opened.session.editing.target is labels


def test_the_same_request_changes_nothing(opened):
    request = PlaneRequest(plane(), "a", target=target(), prompts=CLICK)
    opened.show(request)
    assert opened.show(request) == 0
    assert opened.show(replace(request, target=target())) == 0
    assert opened.session.state.prompts.points_xy == CLICK.points_xy


@pytest.mark.parametrize("found", [Prompts(((1.0, 1.0),), (1,)), Prompts()])
def test_prompts_found_on_a_plane_replace_those_of_its_parked_object(opened, found):
    first = PlaneRequest(plane(), "a", prompts=CLICK)
    opened.show(first)
    opened.show(PlaneRequest(plane(), "b", prompts=Prompts()))
    assert opened.session.state.prompts.is_empty
    opened.show(replace(first, prompts=found))
    assert opened.session.state.prompts == found
    opened.session.undo()
    assert opened.session.state.prompts == CLICK


def test_a_plane_without_prompts_shows_those_of_the_session(opened):
    opened.show(PlaneRequest(plane(), "a", prompts=CLICK))
    opened.show(PlaneRequest(plane(), "b", prompts=Prompts()))
    opened.show(PlaneRequest(plane(), "a"))
    assert opened.session.state.prompts.points_xy == CLICK.points_xy


def test_a_refusal_is_the_hint(opened):
    opened.show(PlaneRequest(plane(), "a", prompts=CLICK))
    assert opened.show(PlaneRequest(refusal="Too strange.")) == 1
    assert (opened.states[-1].has_image, opened.states[-1].hint) == (False, "Too strange.")
    assert opened.show(PlaneRequest(refusal="Too strange.")) == 0
    assert opened.show(PlaneRequest(refusal="Too small.")) == 1


def test_a_target_of_another_shape_leaves_everything_as_it_was(opened):
    request = PlaneRequest(plane(), "a", prompts=CLICK)
    opened.show(request)
    with pytest.raises(TargetError, match="have the shape"):
        opened.show(PlaneRequest(plane(), "b", target=ArrayPlane(np.zeros((9, 9), np.uint8))))
    assert opened.session.request is request
    assert opened.states == []
