"""Films of cells that move, divide, enter and leave, with their true tracks; all by a seed."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass
class Cell:
    """A cell at one moment."""

    label_id: int
    place: NDArray[np.float64]
    velocity: NDArray[np.float64]
    radius: float
    age: int = 0
    parent_id: int = 0


@dataclass
class FilmTruth:
    """The true labels (T, H, W) of a film, and which track divided into which."""

    labels: NDArray[np.uint16]
    parents: dict[int, int] = field(default_factory=dict)


class FilmMaker:
    """Lets cells move for some frames."""

    def __init__(self, seed: int, n_cells: int, side: int, speed: float, cycle: int) -> None:
        self.random = np.random.default_rng(seed)
        self.side, self.speed, self.cycle, self.next_id = side, speed, cycle, 1
        self.parents: dict[int, int] = {}
        self.cells = [self._cell(self.random.uniform(0, side, 2)) for _ in range(n_cells)]

    def make(self, n_frames: int) -> FilmTruth:
        """Return the film."""
        frames = []
        for _ in range(n_frames):
            frames.append(self._draw())
            self._step()
        labels = np.stack(frames)
        present = set(np.unique(labels).tolist())
        parents = {
            child: parent for child, parent in self.parents.items() if {child, parent} <= present
        }
        return FilmTruth(labels, parents)

    def _cell(self, place: NDArray[np.float64], radius: float | None = None) -> Cell:
        label_id, self.next_id = self.next_id, self.next_id + 1
        radius = self.random.uniform(8, 11) if radius is None else radius
        age = int(self.random.integers(self.cycle)) if radius > 8 else 0
        return Cell(label_id, place, self.random.normal(0, self.speed / 2, 2), radius, age)

    def _step(self) -> None:
        cells = []
        for cell in self.cells:
            cell.age += 1
            cell.velocity = 0.7 * cell.velocity + self.random.normal(0, self.speed / 2, 2)
            cell.place = cell.place + cell.velocity + self._push(cell)
            cell.radius += 0.03 * (10 - cell.radius)
            if (cell.place < -cell.radius).any() or (cell.place > self.side + cell.radius).any():
                continue  # it has left
            is_due = cell.age > self.cycle and self.random.random() < 0.2
            cells += self._divided(cell) if is_due else [cell]
        if self.random.random() < 0.15:  # one comes in
            edge = self.random.uniform(0, self.side)
            along = self.random.permutation([edge, float(self.random.choice([0, self.side]))])
            cells.append(self._cell(along))
        self.cells = cells

    def _push(self, cell: Cell) -> NDArray[np.float64]:
        push = np.zeros(2)
        for other in self.cells:
            apart = cell.place - other.place
            distance = float(np.hypot(*apart))
            if other is not cell and 0 < distance < cell.radius + other.radius + 1:
                push += 0.3 * (cell.radius + other.radius + 1 - distance) * apart / distance
        return push

    def _divided(self, mother: Cell) -> list[Cell]:
        angle = self.random.uniform(0, 2 * np.pi)
        shift = 0.8 * mother.radius * np.array([np.sin(angle), np.cos(angle)])
        radius = mother.radius / np.sqrt(2)
        daughters = [self._cell(mother.place + s * shift, radius) for s in (1, -1)]
        for daughter in daughters:
            self.parents[daughter.label_id] = mother.label_id
            daughter.age, daughter.velocity = 0, mother.velocity / 2
        return daughters

    def _draw(self) -> NDArray[np.uint16]:
        """Return the labels of a frame: each pixel belongs to the nearest cell that covers it."""
        labels = np.zeros((self.side, self.side), np.uint16)
        nearest = np.ones_like(labels, np.float64)
        y, x = np.mgrid[: self.side, : self.side]
        for cell in self.cells:
            apart = np.hypot(y - cell.place[0], x - cell.place[1]) / cell.radius
            is_inside = apart < nearest
            labels[is_inside], nearest[is_inside] = cell.label_id, apart[is_inside]
        return labels


def shuffled(labels: NDArray[np.uint16], seed: int) -> NDArray[np.uint16]:
    """Return labels in which the objects of each frame are numbered by themselves."""
    random, result = np.random.default_rng(seed), np.zeros_like(labels)
    for frame, plane in enumerate(labels):
        label_ids = np.unique(plane[plane > 0])
        numbers = np.zeros(int(labels.max()) + 1, np.uint16)
        numbers[label_ids] = random.permutation(len(label_ids)) + 1
        result[frame] = numbers[plane]
    return result


def with_noise(labels: NDArray[np.uint16], seed: int) -> NDArray[np.uint16]:
    """Return masks as a model gives them: ragged, some missing, and pieces of nothing.

    Outlines are off by some pixels, 3 % of the masks are missing, 2 % have lost a third, and most
    frames have one false object.
    """
    random, result = np.random.default_rng(seed), labels.copy()
    for plane in result:
        for label_id in np.unique(plane[plane > 0]).tolist():
            mask, chance = plane == label_id, random.random()
            if chance < 0.03:
                plane[mask] = 0
            elif chance < 0.05:
                rows = np.flatnonzero(mask.any(axis=1))
                plane[: rows[len(rows) // 3]][mask[: rows[len(rows) // 3]]] = 0
            else:
                rim = mask & ~ndimage.binary_erosion(mask, iterations=int(random.integers(1, 3)))
                plane[rim & (random.random(mask.shape) < 0.5)] = 0
        top, left = random.integers(0, len(plane) - 6, 2)
        spot = plane[top : top + 6, left : left + 6]
        if not spot.any():
            spot[:] = result.max() + 1
    return result
