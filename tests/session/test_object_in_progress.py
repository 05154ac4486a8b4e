"""The object in progress knows the slice that it is made on."""

import numpy as np
import pytest

from napari_sam.session import ArrayPlane, Prompts, TargetError
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.plane_request import PlaneRequest

TIMEOUT_S = 120
COIN = Prompts(((104, 68),), (1,))


def test_prompts_get_the_slice_that_is_shown(open_session, coins):
    session = open_session()
    target = ArrayPlane(np.zeros(coins.shape, np.uint16))
    session.show(PlaneRequest(coins, key="third", slice_index=3, target=target))
    session.set_prompts(COIN)
    session.wait_until_idle(TIMEOUT_S)
    assert session.state.prompts == COIN.on_slice(3)
    label_id = session.accept().label_id
    assert target.labels.registry.get(label_id).state.prompts.slice_index == 3
    session.set_prompts(COIN)
    session.undo()
    assert session.state.prompts == Prompts()
    session.redo()
    assert session.state.prompts == COIN.on_slice(3)


def test_an_object_of_an_older_file_reedits_on_the_slice_that_is_shown(open_session, coins):
    session = open_session()
    target = ArrayPlane(np.zeros(coins.shape, np.uint16))
    session.show(PlaneRequest(coins, key="third", slice_index=3, target=target))
    session.wait_until_idle(TIMEOUT_S)
    session.object_in_progress.continue_with(ObjectState(COIN))
    session.wait_until_idle(TIMEOUT_S)
    label_id = session.accept().label_id
    record = target.labels.registry.get(label_id)
    session.objects.reedit(label_id)
    assert session.object_in_progress.state.is_as_accepted
    session.wait_until_idle(TIMEOUT_S)
    assert session.accept() is None  # as it was
    assert target.labels.registry.get(label_id) is record


def test_accept_on_another_slice_says_where_the_unfinished_object_is(open_session, coins):
    session = open_session()
    session.show(PlaneRequest(coins, key="third", slice_index=3))
    session.set_prompts(COIN)
    session.show(PlaneRequest(coins, key="fourth", slice_index=4))
    with pytest.raises(TargetError, match="unfinished object is on slice 3"):
        session.accept()
    session.wait_until_idle(TIMEOUT_S)
