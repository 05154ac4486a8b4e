"""Link the masks of separate slices to objects of several slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from napari_sam.engine.masks import MaskCrop, joined_crop
from napari_sam.session.linking.pairs import Links, Pairs, SliceMasks, groups_of
from napari_sam.session.linking.settings import LinkSettings, Splits
from napari_sam.session.objects.slices import Origin
from napari_sam.session.propagation.interpolation import Interpolation
from napari_sam.session.propagation.slice_mask import SliceMask
from napari_sam.storage.pacing import paced

Member = tuple[int, int]
"""A mask: its slice, and its position among the masks of that slice."""
_MemberLinks = Mapping[tuple[Member, Member], float]


@dataclass(frozen=True, eq=False)
class LinkedObject:
    """An object of one or more slices.

    Parameters
    ----------
    masks : tuple of SliceMask
        One per slice. The confidence is the smallest overlap (IoU) with the masks that it is linked
        to on the slices beside it; 1 without any.
    members : tuple of Member
        The masks that it is made of, in their order.
    """

    masks: tuple[SliceMask, ...]
    members: tuple[Member, ...]

    @property
    def n_slices(self) -> int:
        """Through how many slices it extends."""
        return self.masks[-1].slice_index - self.masks[0].slice_index + 1


def link(
    slices: Iterable[Sequence[MaskCrop]],
    settings: LinkSettings,
    shape: tuple[int, int],
    first: int = 0,
) -> list[LinkedObject]:
    """Link masks of slices that follow each other.

    Masks on neighboring slices are assigned to each other so that their overlaps together are
    largest (H. Kuhn, "The Hungarian Method for the Assignment Problem", 1955); what is left is
    compared with the slices before, as far as gaps may be.

    Parameters
    ----------
    slices : iterable of sequences of MaskCrop
        The masks of each slice, none of them empty.
    settings : LinkSettings
        How they are linked.
    shape : tuple of int
        (H, W) of the slices.
    first : int
        The index of the first slice.

    Returns
    -------
    list of LinkedObject
        By first slice, then in the order of its masks; the same for the same masks.
    """
    linker = Linker(settings, shape, first)
    for crops in slices:
        linker.add(crops)
    return linker.objects()


class Linker:
    """Links slices in their order; compares each with the last ones only.

    Parameters
    ----------
    settings : LinkSettings
        How they are linked.
    shape : tuple of int
        (H, W) of the slices.
    first : int
        The index of the first slice.
    """

    def __init__(self, settings: LinkSettings, shape: tuple[int, int], first: int = 0) -> None:
        self._settings, self._shape, self._first = settings, shape, first
        self._objects: dict[tuple[Member, ...], LinkedObject] = {}  # those returned last
        self._slices: list[Sequence[MaskCrop]] = []
        # The last slices with the masks that no later one is linked to: positions, and masks.
        self._open: list[tuple[int, list[int], SliceMasks]] = []
        self._links: dict[tuple[Member, Member], float] = {}

    def add(self, crops: Sequence[MaskCrop]) -> None:
        """Link the masks of the next slice with those before."""
        index = len(self._slices)
        self._slices.append(crops)
        masks, unlinked = SliceMasks.of(crops), list(range(len(crops)))
        still_open = [(index, unlinked, masks)]
        for earlier_index, positions, earlier in reversed(self._open):
            pairs = Pairs(earlier, masks.subset(unlinked))
            links = self._links_of(pairs, are_neighbors=earlier_index == index - 1)
            for (row, column), iou in links.items():
                ends = (earlier_index, positions[row]), (index, unlinked[column])
                self._links[ends] = iou
            rows, columns = ({pair[side] for pair in links} for side in (0, 1))
            left = [row for row in range(len(positions)) if row not in rows]
            left_positions = [positions[row] for row in left]
            still_open.insert(0, (earlier_index, left_positions, earlier.subset(left)))
            unlinked = [unlinked[n] for n in range(len(unlinked)) if n not in columns]
        self._open = still_open[-self._settings.max_gap - 1 :]

    def _links_of(self, pairs: Pairs, *, are_neighbors: bool) -> Links:
        links = pairs.assigned(self._settings.least_iou)
        if not are_neighbors:
            return links
        parts = pairs.parts(links, self._settings.least_iou)
        if self._settings.splits is Splits.ONE:
            return links | parts
        for (index, other), iou in parts.items():  # the largest parts first
            if all(index != row and other != column for row, column in links):
                links[index, other] = iou
        return links

    def objects(self) -> list[LinkedObject]:
        """Return what was linked so far, if it extends through enough slices.

        An object to which no mask was added is the same as before.
        """
        members = [(k, n) for k, crops in enumerate(self._slices) for n in range(len(crops))]
        groups = groups_of(members, list(self._links))
        links_of: defaultdict[Member, dict[tuple[Member, Member], float]] = defaultdict(dict)
        for ends, iou in self._links.items():
            for member in ends:
                links_of[member][ends] = iou
        objects: dict[tuple[Member, ...], LinkedObject] = {}
        for group in paced(groups):
            if group[-1][0] - group[0][0] + 1 >= self._settings.min_slices:
                key, links = tuple(group), {k: v for m in group for k, v in links_of[m].items()}
                objects[key] = self._objects.get(key) or self._object(key, links)
        self._objects = objects
        return list(objects.values())

    def _object(self, members: Sequence[Member], links: _MemberLinks) -> LinkedObject:
        first = self._first
        crops: defaultdict[int, list[MaskCrop]] = defaultdict(list)
        confidences: defaultdict[int, float] = defaultdict(lambda: 1.0)
        for index, position in members:
            crops[index].append(self._slices[index][position])
        origins = dict.fromkeys(crops, Origin.AUTOMATIC)
        for ((start, position), (stop, stop_position)), iou in links.items():
            ends = self._slices[start][position], self._slices[stop][stop_position]
            if stop > start + 1:
                between = Interpolation(*ends, self._shape)
                for index in range(start + 1, stop):
                    crop = between.at((index - start) / (stop - start))
                    if index not in origins and crop.mask.size:
                        crops[index].append(crop)
            for index in range(start, stop + 1):
                confidences[index] = min(confidences[index], iou)
        masks = tuple(
            SliceMask(
                first + index,
                joined_crop(crops[index]),
                origins.get(index, Origin.INTERPOLATED),
                confidences[index],
            )
            for index in sorted(crops)
        )
        return LinkedObject(masks, tuple((first + index, n) for index, n in members))
