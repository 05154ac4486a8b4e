"""The rest of the coins, found from five of them with real weights."""

import numpy as np
import pytest
from skimage import data

from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts, TargetError
from napari_sam.session.batch_prompts.rest import regions_like

TIMEOUT_S = 300
COINS_XY = ((104, 68), (150, 68), (220, 60), (322, 126), (180, 262))
OTHERS_XY = ((335, 43), (44, 124), (153, 127), (272, 192), (102, 196), (46, 260), (358, 268))


def test_the_rest_is_found_and_undone_in_one_step(real_predictor):
    session = AnnotationSession(lambda *_: real_predictor)
    said = []
    session.batch_prompts.finished.connect(said.append)
    session.set_image(ImagePlane(data.coins()))
    target = ArrayPlane(np.zeros((303, 384), np.uint16))
    session.set_target(target)
    session.wait_until_idle(TIMEOUT_S)
    for place_xy in COINS_XY:
        if place_xy == COINS_XY[-1]:
            with pytest.raises(TargetError, match="accept 5 objects of it here first"):
                session.batch_prompts.start_rest()
        session.set_prompts(Prompts((place_xy,), (1,)))
        session.wait_until_idle(TIMEOUT_S)
        session.accept()
        session.wait_until_idle(TIMEOUT_S)
    session.batch_prompts.start_rest()
    session.wait_until_idle(TIMEOUT_S)
    labels = target.read(slice(0, 303), slice(0, 384))
    on_others = {int(labels[y, x]) for x, y in OTHERS_XY}
    assert 0 not in on_others
    assert len(on_others) == len(OTHERS_XY)
    assert on_others.isdisjoint(range(1, 6))
    assert said[-1].endswith("One Undo removes them all.")
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    assert set(np.unique(target.read(slice(0, 303), slice(0, 384)))) == set(range(6))
    # Stopped at once, or where nothing differs, nothing is found.
    plane, embedder = session.embedding.plane, session.embedding.embedder
    assert regions_like(embedder, plane, target, lambda share: False) == []
    everything = ArrayPlane(np.ones((303, 384), np.uint16))
    assert regions_like(embedder, plane, everything) == []
    session.close()
