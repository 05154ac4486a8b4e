"""The rectangles of an image plane that are embedded: a pyramid of overlapping tiles.

The model sees a tile as long as its input at full resolution, and less detail of a longer one.
Tiles of one level overlap by half, so that each point lies in the middle half of a tile.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.spec import ModelSpec

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the plane."""

_MAX_ENLARGEMENT: Final = 4
"""Input pixels per pixel of the plane, along each axis, in the smallest tiles. Objects about 10
pixels wide are segmented much better there than in tiles twice as long, and as well as in tiles
half as long (benchmarks/enlargement.py)."""
_LEAST_GAIN: Final = 1.2
"""Ratio of sides below which the level before the whole plane is left out."""
_MARGIN: Final = 1 / 16
"""Share of a tile's side, along its inner borders, where the model lacks context."""
_SMALLEST_OBJECT: Final = 12
"""Extent, in cells of the low-res logits, below which an object has no good outline."""
_GOOD_OBJECT: Final = 24
"""Extent, in cells, from which on it has one."""
_AROUND_VIEW: Final = 1.25
"""How much longer a tile is than the view."""
_TOUCHING: Final = 1.5
"""Distance from a border, in cells, within which a mask counts as cut off."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image plane that is embedded separately."""

    level: int  # 0 for the smallest tiles of the plane
    top: int  # row of its first pixel
    left: int  # column of its first pixel
    height: int  # in pixels of the plane
    width: int  # in pixels of the plane

    @property
    def box_xyxy(self) -> Box:
        """Its edges, half a pixel outside the centers of its outermost pixels."""
        return (
            self.left - 0.5,
            self.top - 0.5,
            self.left + self.width - 0.5,
            self.top + self.height - 0.5,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels of the plane."""
        return self.height, self.width

    @property
    def side(self) -> int:
        """Its longer side in pixels of the plane."""
        return max(self.height, self.width)

    def in_plane(self, xy: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        """Return points (N, 2), in the tile scaled to (height, width) pixels, as of the plane.

        Integers are the centers of pixels, of whatever size.
        """
        factor = np.array([self.width / size[1], self.height / size[0]])
        return np.asarray(xy * factor + (factor - 1) / 2 + (self.left, self.top))


class TilePyramid:
    """All tiles of an image plane for a model, from small ones to the whole plane."""

    def __init__(self, shape: tuple[int, int], spec: ModelSpec) -> None:
        self.shape, self.spec = shape, spec
        longest = max(shape)
        sides, side = [], spec.input_side // _MAX_ENLARGEMENT
        while side * _LEAST_GAIN <= longest:
            sides.append(side)
            side *= 2
        self._sides = (*sides, longest)

    @property
    def whole(self) -> Tile:
        """The tile that is the whole plane."""
        return Tile(len(self._sides) - 1, 0, 0, *self.shape)

    @property
    def always_useful(self) -> tuple[Tile, ...]:
        """The tiles that are worth prefetching, whatever the view is."""
        return (self.whole,)

    def has(self, tile: Tile) -> bool:
        """Whether a tile is one of these, and not of a model with other sizes."""
        if tile.level >= len(self._sides):
            return False
        half = self._sides[tile.level] / 2
        return tile == self.at(tile.level, tile.left + half, tile.top + half)

    def at(self, level: int, x: float, y: float) -> Tile:
        """Return the tile of a level whose middle is nearest to a point."""
        top, height = self._span(level, y, self.shape[0])
        left, width = self._span(level, x, self.shape[1])
        return Tile(level, top, left, height, width)

    def neighbors(self, tile: Tile) -> list[Tile]:
        """Return the tiles of the same level right, below, left and above, where they exist."""
        y, x = tile.top + (tile.height - 1) / 2, tile.left + (tile.width - 1) / 2
        step = self._sides[tile.level] / 2
        places = ((x + step, y), (x, y + step), (x - step, y), (x, y - step))
        around = dict.fromkeys(self.at(tile.level, *place) for place in places)
        return [neighbor for neighbor in around if neighbor != tile]

    def finer(self, tile: Tile, view: Box) -> list[Tile]:
        """Return the tile of the next finer level in the middle of a view, if there is one."""
        if tile.level == 0:
            return []
        return [self.at(tile.level - 1, (view[0] + view[2]) / 2, (view[1] + view[3]) / 2)]

    def _span(self, level: int, center: float, length: int) -> tuple[int, int]:
        side = self._sides[level]
        if side >= length:
            return 0, length
        stride = side // 2
        start = max(0, round((center - side / 2) / stride)) * stride
        if start + side > length:
            # Still a multiple of the stride: only the last tile is shorter than the others.
            start = -(-(length - side) // stride) * stride
        return start, min(side, length - start)

    def around(self, box: Box, level: int) -> Tile:
        """Return the tile that holds a box with a margin, of this level or the finest coarser one.

        Any part of the box outside the plane is ignored.
        """
        for candidate in range(level, len(self._sides) - 1):
            tile = self.at(candidate, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            if self.holds(tile, box):
                return tile
        return self.whole

    def holds(self, tile: Tile, box: Box) -> bool:
        """Whether a tile holds a box with a margin, except where the plane itself ends."""
        return not self._reaches(tile, box, self._margin(tile))

    def cuts(self, tile: Tile, box: Box) -> bool:
        """Whether a mask with this bounding box ends at a border of the tile inside the plane."""
        return self._reaches(tile, box, _TOUCHING * self._cell_px(tile.side))

    def _cell_px(self, side: int) -> float:
        """Return how many pixels of the plane a cell of the low-res logits covers."""
        return side / self.spec.low_res_side

    @staticmethod
    def _margin(tile: Tile) -> float:
        """Return how far from an inner border of a tile the model has enough context."""
        return _MARGIN * tile.side

    def _reaches(self, tile: Tile, box: Box, margin: float) -> bool:
        """Whether a box comes within a margin of a border that is not one of the plane."""
        x0, y0, x1, y1 = tile.box_xyxy
        height, width = self.shape
        return (
            (x0 > 0 and box[0] < x0 + margin)
            or (y0 > 0 and box[1] < y0 + margin)
            or (x1 < width - 1 and box[2] > x1 - margin)
            or (y1 < height - 1 and box[3] > y1 - margin)
        )

    def is_tiny(self, tile: Tile, box: Box) -> bool:
        """Whether an object with this bounding box is too small in a tile for a good outline."""
        return tile.level > 0 and _extent(box) < _SMALLEST_OBJECT * self._cell_px(tile.side)

    def level_for(self, box: Box) -> int:
        """Return the coarsest level whose tiles show an object of this size well."""
        cells_px = enumerate(map(self._cell_px, self._sides))
        fitting = [n for n, cell_px in cells_px if _extent(box) >= _GOOD_OBJECT * cell_px]
        return fitting[-1] if fitting else 0

    def fitted(self, view: Box) -> Tile | None:
        """Return a rectangle that is hardly larger than a view; None if nothing is in view.

        It is not one of these tiles, unless it is the whole plane.
        """
        part = clipped_box(view, self.shape)
        if not (part[0] < part[2] and part[1] < part[3]):
            return None
        side = max(self._sides[0], round((1 + 2 * _MARGIN) * _extent(part)))
        if side * _LEAST_GAIN > max(self.shape):
            return self.whole
        spans = []
        for low, high, length in zip(part[1::-1], part[3:1:-1], self.shape, strict=True):
            extent = min(side, length)
            start = round((low + high + 1 - extent) / 2)
            spans.append((min(max(start, 0), length - extent), extent))
        (top, height), (left, width) = spans
        return Tile(0, top, left, height, width)

    def partial_view(self, view: Box | None) -> Box | None:
        """Return the part of the plane in a view; None if that is all or nothing of it."""
        if view is None:
            return None
        part = clipped_box(view, self.shape)
        hidden_px = max(abs(a - b) for a, b in zip(part, self.whole.box_xyxy, strict=True))
        return part if hidden_px >= 1 and _extent(part) > 0 else None

    def in_sight(self, view: Box | None) -> Tile:
        """Return the tile for a view of the plane; None: all of it."""
        if view is None:
            return self.whole
        clipped = clipped_box(view, self.shape)
        extent = _extent(clipped)
        if not extent > 0:
            return self.whole
        # Larger than the view, so that small moves of the view need no other tile.
        sides = enumerate(self._sides)
        level = next((n for n, side in sides if side >= _AROUND_VIEW * extent), self.whole.level)
        return self.at(level, (clipped[0] + clipped[2]) / 2, (clipped[1] + clipped[3]) / 2)


def clipped_box(box: Box, shape: tuple[int, int]) -> Box:
    """Return the part of a box inside a plane; without an extent if there is none."""
    x0, x1 = (min(max(x, -0.5), shape[1] - 0.5) for x in box[::2])
    y0, y1 = (min(max(y, -0.5), shape[0] - 0.5) for y in box[1::2])
    return x0, y0, x1, y1


def _extent(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])
