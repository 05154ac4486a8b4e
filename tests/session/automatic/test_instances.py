"""Planes whose parts are decoded one by one: as if the whole had been seen at full detail."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam.engine.embeddings import ArrayEmbedding
from napari_sam.engine.instance_settings import PUBLISHED
from napari_sam.engine.instances import InstanceMaps
from napari_sam.engine.methods import Method
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.spec import Capability
from napari_sam.session.automatic.instances import InstanceFinder
from napari_sam.session.automatic.request import automatic_tiles
from napari_sam.session.image.tiles import Tile
from tests.model.automatic.test_instances import SIZE, maps_of, matched, scene

WHOLE = Tile(0, 0, 0, *SIZE)
LOW_RES = 16


class Decoder:
    """Knows all maps; an embedding is the corner of a part. A click gives a square around it."""

    device = "cpu"
    spec = SimpleNamespace(capabilities={Capability.INSTANCE_DECODER})

    def __init__(self, maps):
        self.maps, self.obtained, self.clicks, self.boxes = maps, [], [], []
        self.instance_decoder = SimpleNamespace(decode=self.decode_maps)

    def obtain(self, part):
        self.obtained.append(part)
        return ArrayEmbedding({"corner": np.array([part.top, part.left])}, part.size)

    def decode_maps(self, embedding, size, on_block):
        on_block(1, 2)
        on_block(2, 2)
        top, left = embedding.arrays["corner"]
        height, width = embedding.original_size
        assert size == (height, width)
        return InstanceMaps(*(part[top : top + height, left : left + width] for part in self.maps))

    def decode_batch(
        self, embedding, points_xy=None, point_labels=None, *, boxes_xyxy=None, multimask_output
    ):
        assert not multimask_output
        top, left = embedding.arrays["corner"]
        height, width = embedding.original_size
        predictions = []
        if boxes_xyxy is not None:
            self.boxes += (boxes_xyxy + np.array([left, top, left, top])).tolist()
            points_xy = (boxes_xyxy[:, None, :2] + boxes_xyxy[:, None, 2:]) / 2
        else:
            assert (point_labels == 1).all()
        for (x, y), *_ in points_xy:
            if boxes_xyxy is None:
                self.clicks.append((x + left, y + top))
            places = (np.arange(LOW_RES) + 0.5) * max(height, width) / LOW_RES
            near = (abs(places[:, None] - y) < 12) & (abs(places - x) < 12)
            logits = np.where(near, 9, -9).astype(np.float32)[None]
            sizes = (height, width), (height, width), max(height, width)
            predictions.append(MaskPrediction(logits, np.ones(1, np.float32), *sizes))
        return predictions


def everything(points_xy):
    return np.ones(len(points_xy), bool)


def find(decoder, method, parts, settings=None, **options):
    shares = []
    finder = InstanceFinder(decoder, decoder.obtain, WHOLE, parts, **options)
    found = finder.find(
        method, settings or PUBLISHED[method], everything, lambda share, _: shares.append(share)
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1
    return found


@pytest.mark.parametrize("side", [64, 100])
def test_stitched_maps_are_those_of_the_whole(side):
    labels = scene()
    parts = automatic_tiles(WHOLE, side)[1:]
    assert len(parts) > 1
    decoder = Decoder(maps_of(labels))
    found = find(decoder, Method.AIS, parts)
    for stitched, whole in zip(found.maps, decoder.maps, strict=True):
        np.testing.assert_array_equal(stitched, whole)
    assert (matched(labels, found.select()) > 0.95).all()
    assert decoder.obtained == list(parts)


def test_clicks_go_to_the_part_that_they_lie_in():
    decoder = Decoder(maps_of(scene()))
    parts = automatic_tiles(WHOLE, 100)[1:]
    found = find(decoder, Method.APG, parts)
    whole = find(Decoder(decoder.maps), Method.APG, (WHOLE,))
    clicks = sorted(decoder.clicks)
    assert clicks == sorted(map(tuple, whole.points(PUBLISHED[Method.APG])))
    obtained = decoder.obtained[len(parts) :]
    assert len(obtained) == len(set(obtained))  # one after the other, though an embedding is slow
    for record in found.select():
        x, y = record.point_xy
        middle = (np.array(record.box_xyxy)[:2] + np.array(record.box_xyxy)[2:]) / 2
        is_inside = 15 < x < SIZE[1] - 15 and 15 < y < SIZE[0] - 15
        assert not is_inside or abs(middle - (x, y)).max() < 15


def test_boxes_go_to_the_part_of_their_click():
    decoder = Decoder(maps_of(scene()))
    settings = replace(PUBLISHED[Method.APG], box_rounds=1)
    found = find(decoder, Method.APG, automatic_tiles(WHOLE, 100)[1:], settings)
    assert len(decoder.boxes) == len(decoder.clicks)
    for (x, y), (x0, y0, x1, y1) in zip(decoder.clicks, decoder.boxes, strict=True):
        assert x0 <= x <= x1
        assert y0 <= y <= y1
    assert len(found.boxed) == len(decoder.boxes)


def test_a_large_plane_has_smaller_maps():
    decoder = Decoder(maps_of(scene()))
    asked = []
    decoder.instance_decoder.decode = lambda embedding, size, on_block: (
        asked.append(size) or InstanceMaps(*np.zeros((3, *size), np.float32))
    )
    assert find(decoder, Method.AIS, (WHOLE,), longest_px=80).original_size == (60, 80)
    assert asked == [(60, 80)]
    huge = Tile(0, 0, 0, 20_000, 20_000)
    with pytest.raises(ValueError, match=r"400 million pixels .* Choose larger tiles"):
        InstanceFinder(decoder, decoder.obtain, huge, (huge,))
    decoder.spec = SimpleNamespace(capabilities=set())
    with pytest.raises(ValueError, match="has no instance decoder: choose"):
        InstanceFinder(decoder, decoder.obtain, WHOLE, (WHOLE,))
