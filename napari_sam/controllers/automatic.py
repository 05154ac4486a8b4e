"""Connects the panel for finding everything with the session and the viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils.events import Event
from napari.utils.notifications import show_info, show_warning
from numpy.typing import NDArray

from napari_sam._qt.automatic_panel import AutomaticPanel
from napari_sam._qt.collapsible import CollapsibleSection
from napari_sam.layers import LayerBinding
from napari_sam.layers.automatic_by_products import new_boxes_layer, new_edges_layer
from napari_sam.layers.automatic_layer import AutomaticView
from napari_sam.layers.shown_plane import ShownPlane
from napari_sam.session.automatic.generator import AutomaticState
from napari_sam.session.automatic.picture import AutomaticPicture
from napari_sam.session.automatic.request import AutomaticRequest, automatic_tiles
from napari_sam.session.automatic.review import AutomaticReview
from napari_sam.session.automatic.settings import AutomaticRunSettings
from napari_sam.session.automatic.similarity import ExistingObjects
from napari_sam.session.connections import Connections
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.jobs import Dispatcher
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.session import AnnotationSession

EDGE_SETTINGS: Final = AutomaticRunSettings(
    points_per_side=16, pred_iou_thresh=0, stability_score_thresh=0
)
"""With which the paper finds masks for edges: few, good or not."""


class AutomaticController:
    """Does what is asked for in an `AutomaticPanel`."""

    def __init__(
        self,
        viewer: ViewerModel,
        binding: LayerBinding,
        session: AnnotationSession,
        dispatcher: Dispatcher,
    ) -> None:
        self._viewer, self._binding, self._session = viewer, binding, session
        self._search = session.automatic
        self.panel = AutomaticPanel()
        self.section = CollapsibleSection(
            self.panel, "Masks of everything in the image, to choose from"
        )
        self.section.set_title("Find everything")
        self._plane: ShownPlane | None = None  # where the masks lie
        self._edges_plane: ShownPlane | None = None
        self._is_like_nothing = False  # the rest was asked for, of nothing
        self.review = AutomaticReview(session, dispatcher)
        commands: dict[str, Callable[[], None]] = {
            "undo": binding.objects.undo,
            "redo": binding.objects.redo,
            "accept": self._accept,
            "reject": self._reject,
            "next": lambda: self._step(1),
            "previous": lambda: self._step(-1),
        }
        self.view = AutomaticView(viewer, binding.shortcuts, commands)
        self._connect()
        self._on_plane_changed()

    def _connect(self) -> None:
        panel, search, review = self.panel, self._search, self.review
        panel.preview_requested.connect(self.preview)
        panel.whole_requested.connect(self.find_everything)
        panel.rest_requested.connect(self.find_rest)
        panel.cancel_requested.connect(search.cancel)
        panel.settings_changed.connect(self._on_settings_changed)
        panel.keep_requested.connect(self.keep_all)
        panel.discard_requested.connect(self.discard)
        panel.accept_requested.connect(self._accept)
        panel.reject_requested.connect(self._reject)
        panel.step_requested.connect(self._step)
        panel.show_all_requested.connect(review.look_at_all)
        panel.bring_back_requested.connect(review.bring_back)
        panel.boxes_requested.connect(self.add_boxes)
        panel.edges_requested.connect(self.find_edges)
        self._connections = Connections(
            (search.changed, self._on_search_changed),
            (search.pictured, self._on_pictured),
            (search.edges_found, self._on_edges_found),
            (review.changed, self._show),
            (review.added, self._on_added),
            (self._binding.image_changed, self._on_plane_changed),
            (self._binding.plane.stack_changed, self._on_plane_changed),
            (self._binding.target.changed, review.follow_target),
            (self._viewer.layers.events.removed, self._on_layer_removed),
        )

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way to the session."""
        return self.review.is_idle

    @property
    def hint(self) -> str:
        """What the user can do with the mask that is looked at alone; "" without one."""
        if self.review.current is None or not self.review.is_here:
            return ""
        return "Accept this found mask, or reject it, and see the next. Show all ends that."

    def close(self) -> None:
        """Stop; masks that were not kept are left to the user as a layer."""
        self._connections.close()
        self.review.close()
        self.view.release()

    # Looking for masks ---------------------------------------------------------------------

    def preview(self) -> None:
        """Look for masks where the user looks, as the whole image would be looked at."""
        place = self._binding.plane.shown
        if place is not None:
            self._start(place, self._binding.plane.visible_box)

    def find_everything(self) -> None:
        """Look for masks in the whole image."""
        place = self._binding.plane.shown
        if place is not None:
            self._start(place, None)

    def find_rest(self) -> None:
        """Look for masks where the target has no objects yet."""
        place = self._binding.plane.shown
        target = self._session.objects.target
        if place is None:
            return
        if target is None:
            self._start(place, None)
            self._is_like_nothing = True
            return
        try:
            records = tuple(target.labels.book)
        except TargetError as error:
            show_warning(str(error))
            return
        panel = self.panel
        rest = ExistingObjects(
            target, records, panel.like_size.isChecked(), panel.like_brightness.isChecked()
        )
        self._start(place, None, rest)
        self._is_like_nothing = not records

    def _start(
        self,
        place: ShownPlane,
        view: tuple[float, float, float, float] | None,
        rest: ExistingObjects | None = None,
    ) -> None:
        plane = self._session.embedding.plane
        if plane is None:
            return
        self.discard()
        self._plane = place
        tiles = automatic_tiles(self._whole(plane), self.panel.finest_px, view)
        free_of = None if rest is None else rest.target
        self._search.start(AutomaticRequest(plane, tiles, self.panel.settings, view, free_of), rest)
        self._show()

    def discard(self) -> None:
        """Stop, and remove the masks that are not kept."""
        self._search.forget()
        self.review.begin_anew()
        self.view.remove()
        self._plane, self._is_like_nothing = None, False
        self._show()

    def find_edges(self) -> None:
        """Draw the edges in the image, as a new layer."""
        place, plane = self._binding.plane.shown, self._session.embedding.plane
        if place is not None and plane is not None:
            self._edges_plane = place
            self._search.find_edges(
                AutomaticRequest(plane, (self._whole(plane),), EDGE_SETTINGS, keep_logits=True)
            )

    def _whole(self, plane: ImagePlane) -> Tile:
        return TilePyramid(plane.shape, self._session.state.active_model.spec).whole

    def _on_edges_found(self, search: AutomaticRequest, edges: NDArray[np.float32]) -> None:
        place = self._edges_plane
        if place is not None and place.image in self.view.layers:
            self.view.layers.add(new_edges_layer(place, search.tiles[0], edges))

    def add_boxes(self) -> None:
        """Add the boxes of all masks that are shown, as a new layer."""
        picture = self._search.picture
        if self._plane is not None and picture is not None and picture.proposals:
            self.view.layers.add(new_boxes_layer(self._plane, picture.proposals))

    # What was found ------------------------------------------------------------------------

    def _on_settings_changed(self, settings: AutomaticRunSettings) -> None:
        self.review.look_at_all()
        self._search.refine(settings)

    def _on_search_changed(self, state: AutomaticState) -> None:
        self.panel.show_search(state)
        self._show_count()

    def _on_pictured(self, picture: AutomaticPicture | None) -> None:
        self.review.show(picture)

    def _on_plane_changed(self) -> None:
        place, plane = self._binding.plane.shown, self._session.embedding.plane
        self.review.is_here = place is not None and place == self._plane
        shape = None if place is None or plane is None else plane.shape
        elsewhere = ""
        if self._plane is not None and place != self._plane:
            elsewhere = f"another slice or view of '{self._plane.image.name}'"
            if self._binding.plane.image is not self._plane.image:
                elsewhere = f"'{self._plane.image.name}'"
        self.panel.show_place(shape, elsewhere)
        self._show_count()

    def _show(self) -> None:
        """Show the masks that are offered, or the one that is looked at."""
        picture, current = self._search.picture, self.review.current
        if self._plane is not None and picture is not None:
            self.view.show(self._plane, picture, current)
        self.panel.show_review(self.review.summary)
        self._on_plane_changed()

    def _show_count(self) -> None:
        picture, search = self._search.picture, self._search
        count = 0 if picture is None else len(picture.proposals)
        covered = 0 if picture is None else picture.covered
        remark = ""
        if search.search is not None and not search.state.is_running:
            if self.panel.settings.needs_another_search(search.search.settings):
                remark = "For some settings they have to be looked for again."
            elif count == 0 and not self.review.is_done_with_some:
                remark = "Nothing passes: lower the thresholds."
            elif self._is_like_nothing:
                remark = "Of any size and brightness, as there are no objects yet."
        self.panel.show_masks(count, covered, self.review.rejected_count, remark)

    def keep_all(self) -> None:
        """Write all masks that are shown into the target, to be undone as one."""
        picture = self._search.picture
        if picture is not None:
            self.review.look_at_all()
            self.review.keep(picture.proposals)

    def _on_added(self, count: int, left_out: int) -> None:
        more = f"; {left_out:,} left out, which lie on other objects" if left_out else ""
        show_info(f"{count:,} objects added{more}.")

    def _accept(self) -> None:
        if self.review.current is None:
            self._step(1)
        else:
            self.review.accept()
            self._fly()

    def _reject(self) -> None:
        if self.review.current is None:
            self._step(1)
        else:
            self.review.reject()
            self._fly()

    def _step(self, step: int) -> None:
        self.review.step(step)
        self._fly()
        self.view.activate()

    def _fly(self) -> None:
        current, picture = self.review.current, self._search.picture
        if current is not None and picture is not None:
            self.view.fly_to(current, picture.step)

    def _on_layer_removed(self, event: Event) -> None:
        layer: Layer = event.value
        if layer is self.view.layer and not self.view.layers.is_changing:
            self.view.forget()
            self.discard()
        elif isinstance(layer, Image):
            if self._plane is not None and layer is self._plane.image:
                self.discard()
            if self._edges_plane is not None and layer is self._edges_plane.image:
                self._edges_plane = None
