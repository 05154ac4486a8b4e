"""Automatic masks of several slices, linked to objects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop, crop_in_image, joined_crop, tight_crop
from napari_sam.session.automatic.masks import (
    AutomaticMask,
    MaskKey,
    PictureRegion,
    choose_masks,
)
from napari_sam.session.automatic.request import AutomaticRequest, TileMasks
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.automatic.similarity import SimilarityLimits
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Box, TilePyramid
from napari_sam.session.linking.link import LinkedObject, Linker
from napari_sam.session.linking.pairs import common_px
from napari_sam.session.linking.settings import LinkSettings
from napari_sam.session.objects.labels import LabelsPlane
from napari_sam.session.objects.packed import PackedMask
from napari_sam.session.objects.records import ObjectRecord, score_of
from napari_sam.session.objects.slices import ObjectSlice, ObjectSlices
from napari_sam.storage.pacing import paced


@dataclass(frozen=True, eq=False)
class LinkedMasks(AutomaticMask):
    """Masks of several slices that are one object; in all else it is the best one of them."""

    best_slice: int
    linked: LinkedObject  # in pixels of the picture
    members: Mapping[int, tuple[AutomaticMask, ...]]  # by slice; none where it is interpolated
    step: int  # of the picture
    shape: tuple[int, int]  # of the slices

    @property
    def key(self) -> MaskKey:
        """That of the first mask: the object may still grow at its end."""
        return self.keys[0]

    @property
    def keys(self) -> tuple[MaskKey, ...]:
        """Those of all masks: with other filters it may lose some of them."""
        return tuple(
            (slice_index, *mask.key)
            for slice_index, masks in sorted(self.members.items())
            for mask in masks
        )

    @property
    def slice_index(self) -> int:
        """The slice of its best mask."""
        return self.best_slice

    @property
    def columns(self) -> dict[str, Any]:
        """What the table of masks has of it besides the best one."""
        weakest = min(self.linked.masks, key=lambda mask: mask.confidence)
        return {
            "first_slice": self.linked.masks[0].slice_index,
            "last_slice": self.linked.masks[-1].slice_index,
            "weakest_slice": weakest.slice_index,
            "confidence": round(weakest.confidence, 4),
            **super().columns,
        }

    @property
    def area_px(self) -> float:
        """How many pixels it has on all slices, about."""
        px = sum(int(np.count_nonzero(mask.crop.mask)) for mask in self.linked.masks)
        return float(px * self.step**2)

    @property
    def edges_xyxy(self) -> Box:
        """x0, y0, x1, y1 around it on all slices."""
        edges = np.array([mask.crop.edges_xyxy for mask in self.linked.masks])
        low, high = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
        x0, y0, x1, y1 = ((np.r_[low, high] + 0.5) * self.step - 0.5).tolist()
        return x0, y0, x1, y1

    def on_picture(self, step: int) -> Iterator[tuple[PictureRegion, NDArray[np.bool_]]]:
        """Yield where it lies in a stack of pictures, and its pixels there."""
        for mask in self.linked.masks:
            pixels, top, left = mask.crop
            height, width = pixels.shape
            rows, columns = slice(top, top + height), slice(left, left + width)
            yield (mask.slice_index, rows, columns), pixels

    def overlaps(self, other: AutomaticMask) -> bool:
        """Whether it has pixels in common with another one on any slice."""
        if not isinstance(other, LinkedMasks):
            return super().overlaps(other)
        return any(self._shared_px(other))

    def iou(self, other: AutomaticMask) -> float:
        """Return the intersection over union with another one, on all slices."""
        if not isinstance(other, LinkedMasks):
            return super().iou(other)
        pixels = self.step**2 * sum(self._shared_px(other))
        return pixels / (self.area_px + other.area_px - pixels)

    def _shared_px(self, other: LinkedMasks) -> Iterator[int]:
        """Yield how many pixels of the grid it shares with another one on each common slice."""
        crops = {mask.slice_index: mask.crop for mask in other.linked.masks}
        for mask in self.linked.masks:
            if mask.slice_index in crops:
                yield common_px(mask.crop, crops[mask.slice_index])

    def labels_below(self, plane: LabelsPlane) -> Iterator[NDArray[Any]]:
        """Yield the labels of the pixels that it covers, part by part."""
        for slice_index, (mask, top, left) in self._blocks():
            (height, width), on_slice = mask.shape, plane.at_slice(slice_index)
            yield on_slice.read(slice(top, top + height), slice(left, left + width))[mask]

    def _blocks(self) -> Iterator[tuple[int, MaskCrop]]:
        """Yield its pixels of the planes in parts that do not overlap, with their slices."""
        for mask in self.linked.masks:
            members = self.members.get(mask.slice_index, ())
            if len(members) == 1:
                for block in members[0].blocks():
                    yield mask.slice_index, MaskCrop(*block)
            elif members:
                crops = [MaskCrop(*block) for member in members for block in member.blocks()]
                yield mask.slice_index, joined_crop([crop for crop in crops if crop.mask.any()])
            else:
                crop, step = mask.crop, self.step
                pixels = crop.mask.repeat(step, axis=0).repeat(step, axis=1)
                crop = crop_in_image(pixels, crop.top * step, crop.left * step, self.shape)
                yield mask.slice_index, crop

    def object_record(
        self, plane: LabelsPlane, state: ObjectState, class_name: str | None = None
    ) -> ObjectRecord:
        """Return it as an object to be written into the stack of a plane."""
        masks = []
        for slice_index, (pixels, top, left) in self._blocks():
            nd_pixels, start = plane.at_slice(slice_index).to_nd(pixels, top, left)
            if nd_pixels.any():
                masks.append(PackedMask(start, nd_pixels))
        entries = tuple(
            ObjectSlice(
                mask.slice_index, mask.origin, mask.confidence, self._state(mask.slice_index)
            )
            for mask in self.linked.masks
        )
        return ObjectRecord(
            score=score_of(self.record.predicted_iou),
            stability=self.record.stability_score,
            likeness=self.likeness,
            class_name=class_name,
            state=state,
            masks=tuple(masks),
            slices=ObjectSlices(plane.slice_axis or 0, entries),
        )

    def _state(self, slice_index: int) -> ObjectState | None:
        """Return the click that the mask on a slice was decoded from, if it was by one."""
        members = self.members.get(slice_index, ())
        return members[0].object_state() if len(members) == 1 else None


class SliceChoice:
    """Chooses among the masks of each slice, as far as a run has come.

    What it chose on a slice stays as long as that is asked for in the same way. For one thread.
    """

    def __init__(self, request: AutomaticRequest) -> None:
        self._request = request
        self._known: dict[int, tuple[Any, list[AutomaticMask]]] = {}  # how, and what, by slice
        self.background_count = 0
        """How many masks were left out last, as they are the background of the objects."""

    def choose(
        self,
        tiles: Mapping[int, TileMasks],
        pyramid: TilePyramid,
        settings: AutomaticRunSettings,
        limits: Mapping[int, SimilarityLimits | None],
    ) -> dict[int, list[AutomaticMask]]:
        """Return the chosen masks by slice; `tiles` are numbered on from slice to slice.

        `limits` are by the position of the slice in the run.
        """
        request = self._request
        indices = range(1) if request.slices is None else request.slices.indices
        settings, n_tiles = replace(settings, links=LinkSettings()), len(request.tiles)
        chosen, self.background_count = {}, 0
        for position, index in enumerate(paced(indices)):
            numbers = range(position * n_tiles, (position + 1) * n_tiles)
            on_slice = tuple(tiles[number] for number in numbers if number in tiles)
            if not on_slice:
                continue
            own_limits = limits.get(position)
            how = on_slice, pyramid.shape, pyramid.spec, settings, own_limits
            known_how, masks = self._known.get(index, (None, []))
            if request.target is not None:  # its labels may be others by now
                target = request.target.at_slice(index)
                masks = choose_masks(on_slice, pyramid, settings, own_limits, target)
            elif how != known_how:
                masks = choose_masks(on_slice, pyramid, settings, own_limits)
                self._known[index] = how, masks
            chosen[index] = [mask for mask in masks if not mask.is_background(pyramid.shape)]
            self.background_count += len(masks) - len(chosen[index])
        return chosen


class SliceLinker:
    """Links the masks of slices that follow each other.

    They are compared as they are shown: every `step`-th pixel along each axis. Slices that follow
    the linked ones are added; if anything else is new, all are linked again. For one thread.
    """

    def __init__(self, shape: tuple[int, int], step: int) -> None:
        self._shape, self._step = shape, step
        self._linker, self._settings = Linker(LinkSettings(), shape), LinkSettings()
        self._slices: dict[int, Sequence[AutomaticMask]] = {}  # those that are linked
        self._visible: dict[int, list[AutomaticMask]] = {}  # with a pixel that is shown
        self._objects: dict[LinkedObject, LinkedMasks] = {}

    def link(
        self,
        slices: Mapping[int, Sequence[AutomaticMask]],
        settings: LinkSettings,
        excluded: Collection[MaskKey] = (),
    ) -> list[LinkedMasks]:
        """Link masks; return the best objects first."""
        indices, known_indices = sorted(slices), list(self._slices)
        is_longer = known_indices == indices[: len(known_indices)] and all(
            slices[index] == masks for index, masks in self._slices.items()
        )
        if not known_indices or not is_longer or settings != self._settings:
            self._restart(settings, min(slices, default=0))
        linked, self._slices = self._slices, {}  # if this fails, all are linked again
        for index in indices[len(linked) :]:
            self._add(index, slices[index])
            linked[index] = slices[index]
        self._slices = linked
        known = self._objects
        self._objects = {
            linked: known.get(linked) or self._linked_masks(linked)
            for linked in paced(self._linker.objects())
        }
        objects = [
            linked_masks
            for linked_masks in self._objects.values()
            if not any(key in excluded for key in linked_masks.keys)
        ]
        return sorted(objects, key=lambda mask: -mask.record.predicted_iou)

    def _restart(self, settings: LinkSettings, first: int) -> None:
        height, width = (-(-length // self._step) for length in self._shape)
        self._linker, self._settings = Linker(settings, (height, width), first), settings
        self._slices, self._visible = {}, {}

    def _add(self, index: int, masks: Sequence[AutomaticMask]) -> None:
        crops = [(mask, _shown_crop(mask, self._step)) for mask in paced(masks)]
        visible = [(mask, crop) for mask, crop in crops if crop.mask.size]
        self._visible[index] = [mask for mask, _ in visible]
        self._linker.add([crop for _, crop in visible])

    def _linked_masks(self, linked: LinkedObject) -> LinkedMasks:
        """Return an object with the scores of all its masks, and else that of the best one."""
        members: dict[int, tuple[AutomaticMask, ...]] = {}
        for index, position in linked.members:
            members[index] = (*members.get(index, ()), self._visible[index][position])
        all_members = [(index, mask) for index, masks in members.items() for mask in masks]
        best_slice, best = max(all_members, key=lambda member: member[1].record.predicted_iou)
        ious = [mask.record.predicted_iou for _, mask in all_members]
        stabilities = [mask.record.stability_score for _, mask in all_members]
        record = replace(
            best.record,
            predicted_iou=float(np.mean(ious)),
            stability_score=float(np.mean(stabilities)),
        )
        of_best = record, best.tile, best.size, best.brightness
        values = [mask.likeness for _, mask in all_members if mask.likeness is not None]
        likeness = float(np.mean(values)) if values else None
        return LinkedMasks(
            *of_best, best_slice, linked, members, self._step, self._shape, likeness=likeness
        )


def _shown_crop(mask: AutomaticMask, step: int) -> MaskCrop:
    ((_, rows, columns), pixels), *_ = mask.on_picture(step)
    return tight_crop(pixels, rows.start, columns.start)
