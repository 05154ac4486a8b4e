"""Predicts the classes of objects from those that the user has classed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_sam.session.background import Background
from napari_sam.session.connections import Connections
from napari_sam.session.embedding.current import CurrentEmbedding
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.jobs import Job, user_message
from napari_sam.session.objects.editing import MAX_RECORDS_AT_ONCE, Editing
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.planning import plan_records
from napari_sam.session.objects.records import (
    ObjectRecord,
    ObjectRegistry,
    RecordChange,
    counted,
)
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.predicted_classes.classifier import (
    PredictedClass,
    predict_classes,
    require_scikit_learn,
    taught,
    what_is_missing,
)
from napari_sam.session.predicted_classes.measuring import Measured, Scene, measure_objects

_NO_TARGET: Final = "There are no objects: choose an image and a Labels layer."

Predictions = dict[int, PredictedClass]
"""By label_id."""


class _Result(NamedTuple):
    predictions: Predictions
    note: str
    is_partial: bool = False
    """Whether there are objects elsewhere, which were not measured yet."""


class PredictedClasses:
    """Predicts the classes of the target's objects from those that have one, while it is on.

    It does so again after each change, on a thread of its own that yields to all others. Classes
    that were accepted unseen teach nothing, until the user changes or reviews them. All methods
    belong to the owner's thread.
    """

    changed = Signal()
    """`is_on` or `note` changed."""
    predicted = Signal(frozenset)
    """Sent with the label_ids of the objects whose prediction changed."""

    def __init__(
        self,
        embedding: CurrentEmbedding,
        editing: Editing,
        background: Background,
        request: Callable[[], PlaneRequest],
    ) -> None:
        self._embedding, self._editing = embedding, editing
        self._background, self._request = background, request
        self._executor = background.executor("classes")
        self._registry: ObjectRegistry | None = None
        self._connections = Connections()
        # By target; only the thread that measures looks into them.
        self._measured: WeakKeyDictionary[ObjectRegistry, Measured] = WeakKeyDictionary()
        self._measured_by: Embedder | None = None
        self._image: object = None  # which one was measured, and with what appearance
        self._is_partial = True  # whether objects may have to be measured on another plane
        self._predictions: Predictions = {}
        self.is_on = False
        """Whether classes are predicted."""
        self.note = ""
        """What is predicted, or what is missing for that; empty while it is off."""

    def of(self, label_id: int) -> PredictedClass | None:
        """Return the predicted class of an object without a class; None if there is none yet."""
        return self._predictions.get(label_id)

    def above(self, threshold: float) -> list[int]:
        """Return the label_ids of objects whose predicted class is as sure as a threshold."""
        return [n for n, one in self._predictions.items() if one.confidence >= threshold]

    def switch(self, is_on: bool) -> None:
        """Set whether classes are predicted.

        Raises
        ------
        ClassError
            If scikit-learn is missing.
        """
        if is_on:
            require_scikit_learn()
        if is_on != self.is_on:
            self.is_on = is_on
            self.follow()
            if not is_on:
                self._show("")

    def accept(self, threshold: float) -> int:
        """Give objects their predicted classes where these are as sure as a threshold, 0 to 1.

        All are undone as one.

        Returns
        -------
        int
            The number of objects.

        Raises
        ------
        TargetError
            If there is none, or objects are being written.
        """
        label_ids = self.above(threshold)
        if not label_ids:
            raise TargetError(
                f"No predicted class is as sure as {threshold:.0%}: lower the threshold, or give "
                "more objects their class."
            )
        registry = self._editing.check_free().labels.registry
        records = [record for n in label_ids if (record := registry.get(n)) is not None]
        names = {n: one.name for n, one in self._predictions.items()}
        changes = [
            RecordChange(
                record, replace(record, class_name=names[record.label_id], class_unseen=True)
            )
            for record in records
        ]
        self._editing.edit(
            lambda labels: plan_records(labels, changes),
            in_background=len(changes) > MAX_RECORDS_AT_ONCE,
        )
        return len(changes)

    def follow(self) -> None:
        """Predict for what is shown now."""
        registry = self._shown_registry() if self.is_on else None
        if registry is not self._registry:
            self._connections.close()
            self._registry = registry
            self._set({})
            if registry is not None:
                changed = registry.changed, self._on_records_changed
                self._connections = Connections(changed)
        self._predict()

    def follow_plane(self) -> None:
        """Predict for another plane, unless all objects are known from the one before."""
        if self.is_on:
            is_same = _image_of(self._request()) == self._image
            if self._is_partial or not is_same or self._shown_registry() is not self._registry:
                self.follow()

    def _shown_registry(self) -> ObjectRegistry | None:
        target = self._editing.target
        with suppress(TargetError):  # a target that no longer fits
            return None if target is None else target.labels.registry
        return None

    def _on_records_changed(self, label_ids: frozenset[int]) -> None:
        """Forget the predictions of objects that have a class now, or are gone."""
        kept = {n: one for n, one in self._predictions.items() if n not in label_ids}
        for label_id in label_ids & self._predictions.keys():
            record = None if self._registry is None else self._registry.get(label_id)
            if record is not None and record.class_name is None:
                kept[label_id] = self._predictions[label_id]
        self._set(kept)
        self._predict()

    # Predicting --------------------------------------------------------------------------------

    def _predict(self) -> None:
        # What was measured by then stays, and a correction need not wait for many slices.
        self._executor.cancel()
        registry, target, request = self._registry, self._editing.target, self._request()
        if registry is None or target is None or request.plane is None:
            if self.is_on:
                self._show(_NO_TARGET)
            return
        scene, measured = Scene(request, target, self._embedding.embedder), self._known(registry)
        records = list(registry)

        def work(job: Job) -> _Result:
            self._background.yield_to_foreground(job)
            return self._work(records, scene, measured, job)

        self._executor.submit(work, self._on_predicted, self._on_failed, self._show)

    def _known(self, registry: ObjectRegistry) -> Measured:
        """Return what was measured of a target; nothing if model or image are others."""
        now = self._embedding.embedder, _image_of(self._request())
        if now != (self._measured_by, self._image):
            self._measured.clear()
            self._measured_by, self._image = now
        return self._measured.setdefault(registry, Measured())

    def _work(
        self,
        records: list[ObjectRecord],
        scene: Scene,
        measured: Measured,
        job: Job,
    ) -> _Result:
        examples = [record for record in records if _teaches(record)]
        classes = taught(_names(examples))
        missing = what_is_missing(_names(examples))
        if len(classes) < 2:
            return _Result({}, missing)
        examples = [record for record in examples if record.class_name in classes]
        others = [record for record in records if record.class_name is None]

        def rest() -> None:
            self._background.yield_to_foreground(job)

        def report(done: int, total: int) -> None:
            job.report(f"Measuring objects: {done:,} of {total:,}")

        measure_objects([*examples, *others], scene, measured, rest, report)
        result = _predicted(examples, others, measured)
        is_partial = any(measured.get(one) is None for one in (*examples, *others))
        return _Result(result.predictions, f"{result.note} {missing}".strip(), is_partial)

    def _on_predicted(self, result: _Result) -> None:
        self._is_partial = result.is_partial
        self._set(result.predictions)
        self._show(result.note)

    def _on_failed(self, error: BaseException) -> None:
        self._set({})
        self._show(user_message(error, "The classes could not be predicted"))

    def _set(self, predictions: Predictions) -> None:
        before, self._predictions = self._predictions, predictions
        label_ids = before.keys() | predictions.keys()
        differing = frozenset(n for n in label_ids if before.get(n) != predictions.get(n))
        if differing:
            self.predicted.emit(differing)

    def _show(self, note: str) -> None:
        self.note = note
        self.changed.emit()


def _predicted(
    examples: list[ObjectRecord], others: list[ObjectRecord], measured: Measured
) -> _Result:
    """Predict the classes of objects, as far as these and the examples were measured."""
    known = [(one, features) for one in examples if (features := measured.get(one))]
    unknown = [(one, features) for one in others if (features := measured.get(one))]
    names = _names(record for record, _ in known)
    if len(set(names)) < 2:
        return _Result({}, "The examples lie elsewhere: class objects of this stack.")
    predicted = predict_classes(
        [features for _, features in known], names, [features for _, features in unknown]
    )
    predictions = {
        record.label_id: each for (record, _), each in zip(unknown, predicted, strict=True)
    }
    found = counted(len(predictions))
    return _Result(predictions, f"{found} predicted from {len(known):,} examples.")


def _image_of(request: PlaneRequest) -> object:
    """Return what differs between images, and between appearances of one."""
    return (request.version, None if request.plane is None else request.plane.name)


def _teaches(record: ObjectRecord) -> bool:
    """Whether the user has given an object its class, or has seen that it is right."""
    return record.class_name is not None and (record.reviewed or not record.class_unseen)


def _names(records: Iterable[ObjectRecord]) -> list[str]:
    return [record.class_name for record in records if record.class_name is not None]
