"""Objects of all kinds, and when two of them are the same."""

from __future__ import annotations

import numpy as np

from napari_sam.formats import Annotations, ExportObject

# Han beyond 16 bits, right-to-left, combining marks, an emoji, and what formats use themselves.
NAMES = ("細胞 𠮷", "خلية", "Zelle é", "🦠", 'a/b: "c", \\d=1 #&<>')


def draw(*rows: str) -> np.ndarray:
    return np.array([[character == "#" for character in row] for row in rows])


RING = draw("#####", "#...#", "#.#.#", "#...#", "#####")
# Closed only by corners: its hole and the outside touch its outline in single points.
DIAMOND = draw("..#..", ".#.#.", "#...#", ".#.#.", "..#..")
PIECES = draw("##..#", "##..#", ".....", "#.#.#")
# One piece that meets itself at a corner, outside and in its hole.
KNOT = draw("####.", "#..#.", "#.#.#", "####.", "..###")


def same_object(one: ExportObject, other: ExportObject) -> bool:
    one, other = one.cropped(), other.cropped()
    return (one.top, one.left) == (other.top, other.left) and np.array_equal(one.mask, other.mask)


def assert_same(read: Annotations, written: Annotations, *, details: bool = True) -> None:
    """Objects are the same, in the same order; with details also their numbers and classes."""
    assert len(read.objects) == len(written.objects)
    for one, other in zip(read.objects, written.objects, strict=True):
        assert same_object(one, other)
        assert one.slice_index == other.slice_index
        if details:
            assert one.label_id == other.label_id
            assert one.class_name == other.class_name
            assert one.score == other.score
            assert (one.reviewed, one.note) == (other.reviewed, other.note)
    if details:
        named = {obj.class_name for obj in written.objects}
        kept = [one for one in written.classes if one.name in named]
        assert {one for one in read.classes if one.name in named} == set(kept)


def random_objects(count: int, shape: tuple[int, ...], seed: int) -> list[ExportObject]:
    """Return objects that overlap, touch, reach the borders, have holes and many pieces."""
    rng = np.random.default_rng(seed)
    objects = []
    for label_id in range(1, count + 1):
        height, width = (int(rng.integers(1, size + 1)) for size in shape[-2:])
        mask = rng.random((height, width)) < rng.random()
        mask[rng.integers(height), rng.integers(width)] = True
        top, left = (
            int(rng.integers(shape[-2] - height + 1)),
            int(rng.integers(shape[-1] - width + 1)),
        )
        slice_index = tuple(int(rng.integers(size)) for size in shape[:-2])
        objects.append(
            ExportObject(
                label_id,
                mask,
                top,
                left,
                slice_index,
                NAMES[label_id % len(NAMES)],
                reviewed=label_id % 2 == 0,
                note=f"look at {NAMES[0]}\nagain" if label_id % 3 == 0 else "",
            )
        )
    return objects
