"""Searching a plane in tiles, and choosing among what was found by clicks."""

import numpy as np
import pytest

from napari_sam.engine.detection import Detection
from napari_sam.engine.masks import MaskCrop
from napari_sam.session import ImagePlane, Prompts
from napari_sam.session.image.tiles import Tile
from napari_sam.session.words.prompts import box_for_click, prompts_of_words
from napari_sam.session.words.search import at_least, distinct, search, tiles_of, words_in


class BrightDetector:
    """Finds the outlines of bright rectangles, however reduced the image is."""

    name, revision, side, default_threshold = "bright", None, 64, 0.3

    def detect(self, image, words, check=lambda: None):
        from scipy import ndimage

        check()
        labels, _ = ndimage.label(image[..., 0] > 128)
        found = []
        for rows, columns in ndimage.find_objects(labels):
            region = MaskCrop(np.ones(labels[rows, columns].shape, bool), rows.start, columns.start)
            score = 0.9 - 1 / region.mask.size
            found.append(Detection(words[0], score, region.edges_xyxy, region))
        return found


def image_with(*boxes):
    image = np.zeros((200, 300), np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = 255
    return image


def boxes_of(detections):
    return sorted(tuple(edge + 0.5 for edge in one.box_xyxy) for one in detections)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("coin", ("coin",)),
        (" coin , ring;coin.\nwedding  ring", ("coin", "ring", "wedding ring")),
        ("Coin, coin, ,.", ("Coin",)),
    ],
)
def test_words_of_a_text(text, words):
    assert words_in(text) == words


def test_tiles_cover_the_region_and_hold_small_objects_whole():
    for region, side in ((Tile(0, 10, 20, 200, 300), 64), (Tile(0, 0, 0, 70, 50), 64)):
        tiles = tiles_of(region, side)
        assert tiles[0] == region
        sides = [tile.side for tile in tiles]
        assert sides == sorted(sides, reverse=True)
        if region.side < 1.2 * side:
            assert len(tiles) == 1
            continue
        finest = [tile for tile in tiles if tile.side == side]
        for top in range(region.top, region.top + region.height - 16):
            assert any(tile.top <= top and top + 16 <= tile.top + tile.height for tile in finest)


def test_objects_of_all_sizes_are_found_once():
    # across the borders of tiles, at the image's border, and larger than any but the whole image
    boxes = [(5, 5, 9, 9), (60, 40, 72, 50), (290, 190, 300, 200), (110, 20, 250, 180)]
    plane, shares = ImagePlane(image_with(*boxes)), []

    def report(done, total, found):
        shares.append(done / total)
        return True

    found = search(BrightDetector(), plane, ["box"], report=report)
    np.testing.assert_allclose(boxes_of(found), sorted(boxes), atol=2.5)
    small = next(one for one in found if one.box_xyxy[0] < 20)
    assert (small.region.top, small.region.left, small.region.mask.shape) == (5, 5, (4, 4))
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    left = search(BrightDetector(), plane, ["box"], region=Tile(0, 0, 0, 60, 80))
    assert boxes_of(left)[0] == (5, 5, 9, 9)
    assert all(box[2] <= 80 and box[3] <= 60 for box in boxes_of(left))
    stopped = search(BrightDetector(), plane, ["box"], report=lambda done, *_: done < 1)
    assert len(stopped) < len(found)


def test_the_surest_of_boxes_of_one_object_stays_whatever_the_threshold():
    near = Detection("ring", 0.6, (0, 0, 10, 11))
    coin, other = Detection("coin", 0.4, (0, 0, 10, 10)), Detection("coin", 0.2, (20, 0, 30, 10))
    kept = distinct([other, coin, near])
    assert kept == [near, other]
    assert at_least(kept, 0.2) == kept
    assert at_least(kept, 0.3) == [near]


LEFT = Detection("coin", 0.5, (0, 0, 40, 40))
RIGHT = Detection("ring", 0.4, (50, 0, 90, 40))
INNER = Detection("coin", 0.8, (55, 5, 75, 25))
ALL = [INNER, LEFT, RIGHT]


def test_clicks_choose_among_boxes_and_correct_them():
    found = prompts_of_words(ALL)
    assert [one for one, _ in found] == ALL
    assert [prompt.class_name for _, prompt in found] == ["coin", "coin", "ring"]
    assert [prompt.prompts.box_xyxy for _, prompt in found] == [one.box_xyxy for one in ALL]
    clicks = Prompts(((20, 20), (85, 35), (30, 30), (100, 100)), (1, 1, 0, 0))
    assert [(one, prompt.prompts) for one, prompt in prompts_of_words(ALL, clicks)] == [
        (LEFT, Prompts(((20, 20), (30, 30)), (1, 0), LEFT.box_xyxy)),
        (RIGHT, Prompts(((85, 35),), (1,), RIGHT.box_xyxy)),
    ]
    both = prompts_of_words(ALL, Prompts(((60, 10),), (1,)))
    assert [one for one, _ in both] == [INNER]
    corrected = prompts_of_words(ALL, Prompts(((60, 10),), (0,)))
    assert [prompt.prompts.points_xy for _, prompt in corrected] == [((60, 10),), (), ((60, 10),)]
    with pytest.raises(ValueError, match="No box of these words holds 45,3: lower"):
        prompts_of_words(ALL, Prompts(((45, 3),), (1,)))


def test_a_first_click_is_joined_by_the_box_that_holds_it():
    click = Prompts(((60, 10),), (1,), slice_index=2)
    joined = box_for_click(ALL, click)
    assert joined == Prompts(((60, 10),), (1,), INNER.box_xyxy, slice_index=2)
    for other in (
        Prompts(((60, 10),), (0,)),
        Prompts(((45, 10),), (1,)),
        Prompts(((60, 10), (61, 10)), (1, 1)),
        Prompts(box_xyxy=(55, 5, 75, 20)),
        Prompts(),
    ):
        assert box_for_click(ALL, other) == other
