"""Tiles in a regular grid, each with a halo, as micro-sam lays them out."""

import math

from napari_sam.engine.spec import ModelSpec
from napari_sam.session.image.tiles import Box, Tile, TilePyramid


class TileGrid(TilePyramid):
    """Tiles of one size side by side, and the whole plane as the next level."""

    def __init__(
        self,
        shape: tuple[int, int],
        tile_shape: tuple[int, int],
        halo: tuple[int, int],
        spec: ModelSpec,
    ) -> None:
        super().__init__(shape, spec)
        self.tile_shape, self.halo = tile_shape, halo
        self._columns = math.ceil(shape[1] / tile_shape[1])
        spans = [
            [
                (max(0, start - reach), min(length, start + inner + reach))
                for start in range(0, length, inner)
            ]
            for length, inner, reach in zip(shape, tile_shape, halo, strict=True)
        ]
        self.tiles = tuple(
            Tile(0, top, left, bottom - top, right - left)
            for top, bottom in spans[0]
            for left, right in spans[1]
        )
        self._numbers = {tile: number for number, tile in enumerate(self.tiles)}
        is_divided = len(self.tiles) > 1
        tile_side = max(tile.side for tile in self.tiles)
        self._sides = (tile_side, max(shape)) if is_divided else (max(shape),)

    @property
    def always_useful(self) -> tuple[Tile, ...]:
        """None: the whole plane would have to be embedded, which only a large object justifies."""
        return ()

    def number_of(self, tile: Tile) -> int | None:
        """Return the index of a tile in `tiles`; None if it is not there."""
        return self._numbers.get(tile)

    def number_at(self, x: float, y: float) -> int:
        """Return the index of the tile whose inner part, without the halo, contains a point.

        A point outside the plane counts as the nearest one inside.
        """
        row, column = (
            min(max(0, math.floor(place + 0.5)), length - 1) // inner
            for place, length, inner in zip((y, x), self.shape, self.tile_shape, strict=True)
        )
        return row * self._columns + column

    def at(self, level: int, x: float, y: float) -> Tile:
        """Return the tile whose inner part contains a point, or the whole plane."""
        return self.tiles[self.number_at(x, y)] if level == 0 else self.whole

    def neighbors(self, tile: Tile) -> list[Tile]:
        """Return the tiles right, below, left and above, where they exist."""
        number = self.number_of(tile)
        if number is None:
            return []
        row, column = divmod(number, self._columns)
        places = ((row, column + 1), (row + 1, column), (row, column - 1), (row - 1, column))
        rows = len(self.tiles) // self._columns
        return [
            self.tiles[row * self._columns + column]
            for row, column in places
            if 0 <= row < rows and 0 <= column < self._columns
        ]

    def holds(self, tile: Tile, box: Box) -> bool:
        """Whether a tile holds a box with a margin, except where the plane itself ends.

        The margin is at most the halo, so that each point has a tile that holds it.
        """
        return not self._reaches(tile, box, min(self._margin(tile), *self.halo))

    def in_sight(self, view: Box | None) -> Tile:
        """Return the tile in the middle of the view, whatever its size."""
        view = self.whole.box_xyxy if view is None else view
        return self.at(0, (view[0] + view[2]) / 2, (view[1] + view[3]) / 2)
