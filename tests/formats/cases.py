"""Objects of all kinds, and when two of them are the same."""

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


def same_object(first: ExportObject, second: ExportObject) -> bool:
    first, second = first.cropped(), second.cropped()
    return (first.top, first.left) == (second.top, second.left) and np.array_equal(
        first.mask, second.mask
    )


def assert_same(read: Annotations, written: Annotations, *, details: bool = True) -> None:
    """Objects are the same, in the same order; with details also their numbers and classes."""
    assert len(read.objects) == len(written.objects)
    for result, expected in zip(read.objects, written.objects, strict=True):
        assert same_object(result, expected)
        assert result.slice_index == expected.slice_index
        if details:
            assert result.label_id == expected.label_id
            assert result.class_name == expected.class_name
            assert result.score == expected.score
            assert (result.reviewed, result.note) == (
                expected.reviewed,
                expected.note,
            )
            assert (result.parent_id, result.origin, result.confidence) == (
                expected.parent_id,
                expected.origin,
                expected.confidence,
            )
    if details:
        named = {obj.class_name for obj in written.objects}
        kept = [entry for entry in written.classes if entry.name in named]
        assert {entry for entry in read.classes if entry.name in named} == set(kept)


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
                parent_id=label_id // 2,
                origin=("annotated", "propagated", "")[label_id % 3] if slice_index else "",
                confidence=(1.0, 0.625, None)[label_id % 3] if slice_index else None,
            )
        )
    return objects
