"""What must hold in the window of `random_window.py`, whatever was done in it."""

from typing import Any

import numpy as np

from napari_sam.session import ArrayLabels
from napari_sam.session.journal.replaying import read_journal, replay
from napari_sam.session.objects.packed import region_of
from napari_sam.widget import SamWidget


def targets(widget: SamWidget) -> list[Any]:
    """Return all targets of the widget that are still there."""
    followed = widget.binding.target._followed.values()
    return [target for target in followed if not target.is_gone and not target.layer.multiscale]


def digest(widget: SamWidget) -> dict[Any, list[Any]]:
    """Return the objects of all targets, whatever their numbers."""
    states = {}
    for target in targets(widget):
        labels = np.asarray(target.layer.data)
        objects = []
        for record in target.registry:
            pixels = np.flatnonzero(labels == record.label_id).tobytes()
            about = record.class_name, record.reviewed, record.note, record.area_px
            objects.append((pixels, *map(str, about)))
        states[target] = sorted(objects)
    return states


def check(widget: SamWidget) -> None:
    """Compare pixels, records and table."""
    for target in targets(widget):
        labels = np.asarray(target.layer.data)
        records = {record.label_id: record for record in target.registry}
        numbers, areas = np.unique(labels[labels != 0], return_counts=True)
        areas_px = dict(zip(numbers.tolist(), areas.tolist(), strict=True))
        assert {n: record.area_px for n, record in records.items()} == areas_px
        for n, record in records.items():
            inside = labels[region_of(record.start, record.shape)] == n
            assert inside.sum() == record.area_px, f"the box of {n} is too small"
        if target is widget.binding.target.labels:
            assert widget.controllers.objects.table.model._records == records


def check_journals(widget: SamWidget) -> None:
    """Compare the journals with what is there."""
    for target, (_, journal) in widget.controllers.journal._journals.items():
        if target.is_gone or journal.path is None or target.layer.multiscale:
            continue
        content = read_journal(journal.path)
        restored = ArrayLabels(np.zeros(target.shape, target.dtype))
        replay(content.entries(), restored)
        assert not content.warning, content.warning
        np.testing.assert_array_equal(restored.array, target.layer.data)
        stated = [
            sorted((r.label_id, r.class_name or "", r.note) for r in registry)
            for registry in (restored.registry, target.registry)
        ]
        assert stated[0] == stated[1]
    unfinished, image = widget.controllers.unfinished, widget.binding.plane.image
    if image is not None and unfinished.record():
        journal = unfinished._holders.get(image)
        kept = () if journal is None else read_journal(journal.path).unfinished
        assert kept == tuple(entry.without_masks for entry in unfinished.all)
