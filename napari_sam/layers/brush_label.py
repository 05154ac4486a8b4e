"""The label that napari's brush paints with in the target."""

from collections.abc import Sequence
from contextlib import suppress

from napari_sam.layers.target_binding import TargetBinding
from napari_sam.session.connections import Connections
from napari_sam.session.objects.edits import LabelsEdit
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.planning import first_free_label_id
from napari_sam.session.session import AnnotationSession


class BrushLabel:
    """Gives the brush the label_id of the object that is re-edited or chosen; else a free one.

    Only when that object changes: in between the user may pick another label.
    """

    def __init__(self, session: AnnotationSession, target: TargetBinding) -> None:
        self._session, self._target = session, target
        self._chosen: int | None = None
        self._meant: int | None = None
        self._connections = Connections(
            (session.changed, self._update),
            (session.accepted, self._on_accepted),
            (target.changed, self._on_target_changed),
        )

    def close(self) -> None:
        """Leave the brush as it is."""
        self._connections.close()

    def choose(self, label_ids: Sequence[int]) -> None:
        """Follow the rows that are chosen in the table: a single one is meant."""
        self._chosen = label_ids[0] if len(label_ids) == 1 else None
        self._update()

    def take(self, label_id: int) -> None:
        """Paint on an accepted object; 0: on the one that is meant, or on a new one.

        Raises
        ------
        TargetError
            If it would be a new one, hidden by a mask that is not accepted yet.
        """
        label_id = label_id or self._meant or 0
        if not label_id and self._session.state.prompts.has_foreground:
            raise TargetError("Accept the mask first, then paint on it.")
        self._set(label_id)

    def _on_target_changed(self) -> None:
        self._chosen = self._meant = None

    def _update(self) -> None:
        reedited = self._session.objects.reedited_label_id
        before, self._meant = self._meant, self._chosen if reedited is None else reedited
        if self._meant != before:
            self._set(self._meant)

    def _on_accepted(self, edit: LabelsEdit) -> None:
        """Do not paint on an object just made, whose label_id was free until then."""
        layer, is_new = self._target.layer, edit.n_made > 0 and edit.target is self._target.labels
        if is_new and layer is not None and layer.selected_label == edit.label_id != self._meant:
            self._set(self._meant)

    def _set(self, label_id: int | None) -> None:
        layer, labels = self._target.layer, self._target.labels
        if layer is None or labels is None:
            return
        with suppress(TargetError):  # no label is free
            layer.selected_label = label_id or first_free_label_id(labels, labels.registry)
