"""Connects the panel for automatic masks with the session and the viewer."""

from collections.abc import Callable, Sequence

from napari.layers import Image, Layer
from napari.utils.events import Event

from napari_sam._qt.automatic_panel import AutomaticPanel
from napari_sam._qt.building import ShortcutTexts
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.tabs import Tab
from napari_sam._qt.tool_window import ToolWindow
from napari_sam.controllers.automatic_by_products import AutomaticByProductsController
from napari_sam.controllers.automatic_places import AutomaticPlaces
from napari_sam.controllers.automatic_review import AutomaticReviewController
from napari_sam.controllers.context import WidgetContext
from napari_sam.engine.methods import Method
from napari_sam.engine.spec import Capability, ModelSpec
from napari_sam.session.automatic.generator import AutomaticState
from napari_sam.session.automatic.likeness import NO_EXAMPLES
from napari_sam.session.automatic.request import AutomaticRequest, automatic_tiles
from napari_sam.session.automatic.rest import are_too_small, rest_request
from napari_sam.session.automatic.settings import AutomaticRunSettings, preset_for
from napari_sam.session.automatic.similarity import ExistingObjects
from napari_sam.session.connections import Connections
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.image.tiles import Box, Tile, TilePyramid
from napari_sam.session.objects.labels import TargetError
from napari_sam.session.objects.records import counted
from napari_sam.session.objects.slice_planning import crop_of
from napari_sam.session.objects.slices import slices_in_words
from napari_sam.session.stack import SliceRange
from napari_sam.session.state import SessionState


class AutomaticController:
    """Fulfils the requests of an `AutomaticPanel`, and shows the masks in a layer.

    There are no masks before there is a panel: until then, only the keys of the review work.
    """

    def __init__(self, context: WidgetContext, chosen: Callable[[], Sequence[int]]) -> None:
        self._chosen = chosen  # the objects that are chosen in the table
        self._binding, self._session = context.binding, context.session
        session = context.session
        self._generator, self._review = session.automatic, session.automatic_review
        self.texts = ShortcutTexts()
        """Of the panel."""
        self.on_demand = OnDemand(lambda: AutomaticPanel(self.texts))
        """The page of the tab."""
        tooltip = "Masks of everything in the image, to choose from"
        self.tab = Tab(self.on_demand, "Automatic", tooltip)
        self._messages, self._context = context.messages, context
        self._places = AutomaticPlaces(context.binding, self._generator)
        self._preset_reason = ""  # why these settings are preset
        self._has_nothing_to_match = False  # remaining objects were asked for without any object
        self.review = AutomaticReviewController(context, self._places)
        """Accepts and rejects the masks."""
        self.view = self.review.view
        """Shows the masks in a layer."""
        self._by_products: AutomaticByProductsController | None = None
        self._settings_window: ToolWindow | None = None
        self._connections = Connections()
        self.on_demand.when_built(self._connect)

    @property
    def panel(self) -> AutomaticPanel:
        """The page of the tab, built when it is first needed."""
        return self.on_demand.get()

    def _connect(self, panel: AutomaticPanel) -> None:
        """Begin to do what the panel asks for, and to show in it what there is."""
        context, run, results = self._context, panel.run, panel.results
        self._settings_window = ToolWindow(panel.form, context.widget)
        run.all_settings.clicked.connect(self._settings_window.toggle)
        self.review.connect(results)
        self._by_products = AutomaticByProductsController(
            context, results, self.view.layers, lambda: self._places.of_masks
        )
        self._connections = Connections(
            (run.visible.clicked, self.run_visible),
            (run.whole.clicked, self.run_whole),
            (run.remaining.clicked, self.run_remaining),
            (panel.filters.like.clicked, self.run_like_these),
            (panel.filters.rest.clicked, self.run_rest),
            (run.cancel.clicked, self._generator.cancel),
            (run.detail_chosen, self._show_count),
            (run.go_requested, self._places.go),
            (panel.settings_changed, self._on_settings_changed),
            (panel.refused, self._messages.warn),
            (results.discard.clicked, self.discard),
            (results.restore.clicked, self.restore),
            (self._session.changed, self._on_session_changed),
            (self._generator.changed, self._on_state_changed),
            (self._review.changed, self._show),
            (self._binding.image_changed, self._on_plane_changed),
            (self._binding.plane.stack_changed, self._on_plane_changed),
            (context.viewer.layers.events.removed, self._on_layer_removed),
        )
        self._on_plane_changed()

    def close(self) -> None:
        """Stop; masks that were not accepted are left to the user as a layer, all of them."""
        if self._review.current is not None:
            self._review.show_all()
        self._connections.close()
        for part in (self._by_products, self._settings_window):
            if part is not None:
                part.close()
        self.review.close()

    # Runs ----------------------------------------------------------------------------------

    def run_visible(self) -> None:
        """Generate masks in the visible part, as finely as the screen shows it."""
        plane, view = self._session.embedding.plane, self._binding.plane.visible_box
        if plane is None or view is None:
            return
        tile = _pyramid(plane, self._session.state.spec).fitted(view)
        if tile is None:
            self._messages.warn("The image is out of sight: move it into view first.")
        else:
            self._start((tile,), view)

    def run_whole(self) -> None:
        """Generate masks in the whole image."""
        self._start(self._run_tiles())

    def _run_tiles(self) -> tuple[Tile, ...]:
        """Return the tiles of a run on the whole image at the chosen detail."""
        plane = self._session.embedding.plane
        if plane is None:
            return ()
        whole = _pyramid(plane, self._session.state.spec).whole
        return automatic_tiles(whole, self.panel.run.finest_px)

    def run_remaining(self) -> None:
        """Generate masks where the target has no objects yet."""
        matching, target = self.panel.matching, self._session.editing.target
        existing = None
        if target is not None:
            try:
                records = tuple(target.labels.registry)
            except TargetError as error:
                self._messages.warn(str(error))
                return
            similar = matching.size_box.isChecked(), matching.brightness_box.isChecked()
            existing = ExistingObjects(target, records, *similar)
        self._start(self._run_tiles(), existing=existing)
        self._has_nothing_to_match = existing is None or not existing.records

    def run_like_these(self) -> None:
        """Generate masks of objects like those chosen in the table, or like all of the target.

        Where there are none, they are like the examples of another slice or image.
        """
        editing, others = self._session.editing, self._session.known_examples.current
        if editing.target is None and others.like:
            editing.need_target()
        target = editing.target
        try:
            records = () if target is None else tuple(target.labels.registry)
        except TargetError as error:
            self._messages.warn(str(error))
            return
        chosen = set(self._chosen())
        examples = tuple(one for one in records if one.label_id in chosen) or records
        if target is not None and any(crop_of(one, target).mask.size for one in examples):
            others = NO_EXAMPLES
        elif target is None or not others.like:
            self._messages.warn(
                "There are no examples here: accept some objects of the kind first."
            )
            return
        else:
            examples, found = (), counted(len(others.like))
            self._messages.info(f"Nothing is accepted here yet: {found} from before show the kind.")
        tiles, plane = self._run_tiles(), self._session.embedding.plane
        is_grid = self.panel.settings.method is Method.GRID and self._slices is None
        if (
            not (plane is None or target is None)
            and is_grid
            and examples == records
            and are_too_small(target, tiles, _pyramid(plane, self._session.state.spec))
        ):
            self._messages.info("Such small objects are found by their pixels, not by clicks.")
            self.run_rest()
            return
        existing = ExistingObjects(target, records, False, False, examples, others)
        self._start(tiles, existing=existing)

    def run_rest(self) -> None:
        """Find what is like the objects of the shown slice, by its pixels."""
        plane, settings = self._session.embedding.plane, self.panel.settings
        if plane is None:
            return
        try:
            target = self._session.editing.require_target()
            unlike = self._review.unlike_on(plane)
            tiles = (_pyramid(plane, self._session.state.spec).whole,)
            request = AutomaticRequest(plane, tiles, settings, unlike=unlike)
            self._submit(rest_request(request, target))
        except TargetError as error:
            self._messages.warn(str(error))

    def _start(
        self,
        tiles: tuple[Tile, ...],
        view: Box | None = None,
        existing: ExistingObjects | None = None,
    ) -> None:
        plane = self._session.embedding.plane
        if plane is None:
            return
        slices = None if view is not None else self._slices
        settings = self.panel.settings
        parts: tuple[Tile, ...] = ()
        if settings.method is not Method.GRID:
            tiles, parts = tiles[:1], tiles[1:]
        request = AutomaticRequest(
            plane, tiles, settings, view, existing, slices=slices, parts=parts
        )
        self._submit(request)

    def _submit(self, request: AutomaticRequest) -> None:
        shown = self._binding.plane.shown
        if shown is not None:
            self._has_nothing_to_match = False
            self._places.note(request, shown)
            self.view.remove()
            self._generator.start(request)

    @property
    def _slices(self) -> SliceRange | None:
        """The slices that the user wants masks of; None for the shown one alone."""
        stack, indices = self._session.request.stack, self.panel.run.slices.chosen
        return None if stack is None or indices is None else SliceRange(stack, indices)

    def discard(self) -> None:
        """Stop, and remove the masks that are not accepted yet; accepted ones are still written."""
        is_selected = self.view.is_selected
        self._forget_masks()
        if is_selected:
            self._binding.prompts.start_points()  # else no layer would be, and no key work

    def restore(self) -> None:
        """Offer the masks again that were discarded or replaced last."""
        self._has_nothing_to_match = False
        self.view.remove()
        self._generator.restore()

    def _forget_masks(self) -> None:
        self._has_nothing_to_match = False
        self._generator.discard()
        self.view.remove()
        self._on_plane_changed()

    # Masks ---------------------------------------------------------------------------------

    def _on_settings_changed(self, settings: AutomaticRunSettings) -> None:
        self._review.show_all()
        self._generator.refine(settings)

    def _on_state_changed(self, state: AutomaticState) -> None:
        self.panel.show_state(state)
        self._show_count()

    def _on_session_changed(self, state: SessionState) -> None:
        """Offer other tiles once the model has told its sizes, which is when it is loaded."""
        if state.spec != self._spec:
            self._on_plane_changed()

    def _on_plane_changed(self) -> None:
        generator, place = self._generator, self._places.of_masks
        if place is not None and not place.is_possible:
            self.discard()
        previous = self._places.of_restorable
        if previous is not None and not previous.is_possible:
            generator.forget_previous()
        shown, plane = self._binding.plane.shown, self._session.embedding.plane
        is_here = shown is not None and self._places.is_shown
        self._review.set_here(is_here)
        if (place_in_stack := self._binding.plane.place_in_stack) is not None:
            self.panel.run.slices.show_stack(*place_in_stack)
        self.view.outline_on(shown.view.slice_index if shown is not None and is_here else None)
        self._spec = self._session.state.spec
        is_offered = Capability.INSTANCE_DECODER in self._spec.capabilities
        self.panel.show_methods(is_offered=is_offered)
        shape = None if shown is None or plane is None else plane.shape
        self.panel.show_plane(shape, self._spec.input_side, is_here=not self._places.elsewhere)
        if generator.request is None and plane is not None:
            self._suggest(plane)
        self._show_count()

    def _suggest(self, plane: ImagePlane) -> None:
        """Preset what suits an image, unless the user has chosen any settings."""
        preset, reason = preset_for(plane)
        is_used = self.panel.suggest(AutomaticRunSettings.of_preset(preset))
        self._preset_reason = reason if is_used else ""

    def _show(self) -> None:
        """Show the masks on offer, or the current one alone."""
        picture, current = self._generator.picture, self._review.current
        place = self._places.of_masks
        if place is not None and picture is not None:
            self.view.show(place, picture, current)
        self.panel.results.show_review(is_reviewing=current is not None)
        self._on_plane_changed()

    def _show_count(self) -> None:
        generator, review, picture = self._generator, self._review, self._generator.picture
        count, covered = (0, 0) if picture is None else (len(picture.masks), picture.covered_count)
        self.panel.results.show_masks(count, len(review.rejected), generator.restorable_count)
        text = "1 mask" if count == 1 else f"{count:,} masks"
        if picture is not None and picture.searched:
            text = f"{counted(count)} in {slices_in_words(picture.searched)}"
        if covered:
            text += f", {covered:,} covered by others"
        background = 0 if picture is None else picture.background_count
        if background:
            text += f", {background:,} left out as background"
        elsewhere = self._places.elsewhere if count else ""
        where = f"They belong to {elsewhere}: click here to go there." if elsewhere else ""
        texts = [
            f"{review.summary or text}." if count or background else "",
            where or self._remark(count),
        ]
        self.panel.run.show_outcome(" ".join(filter(None, texts)), is_link=bool(elsewhere))

    def _remark(self, count: int) -> str:
        """Say what the masks on offer, or a lack of them, may come from."""
        request, review = self._generator.request, self._review
        if request is None:
            return self._preset_reason
        if self._generator.state.is_running:
            return ""
        if self.panel.settings.needs_another_run(request.settings):
            return "Some settings take effect with the next run."
        if canceled_at := self._generator.canceled_at:
            picture, slices = self._generator.picture, request.slices
            searched = None if picture is None else picture.searched
            left = slices.indices[len(searched) :] if slices and searched else ()
            not_searched = f": {slices_in_words(left)} not searched" if left else ""
            return f"Canceled at {canceled_at}{not_searched}."
        if count == 0 and not (review.writer.accepted or review.rejected):
            if request.is_rest:
                return "Nothing else is like these objects: lower likeness, or accept more of them."
            if request.settings.method is Method.GRID:
                names = "likeness, " if self._generator.examples.like else ""
                return f"No mask passes: lower {names}score or stability."
            return "No object is found: raise the limits of center and boundary."
        if request.view is not None and (side := self.panel.run.finer_detail(request.tiles[0])):
            return f"Whole image sees less detail, unless you choose tiles of {side} px."
        if self._has_nothing_to_match:
            return "All sizes and brightnesses are shown: there are no objects to compare with yet."
        return ""

    def _on_layer_removed(self, event: Event) -> None:
        layer: Layer = event.value
        if layer is self.view.layer and not self.view.layers.is_changing:
            self.view.forget()
            self._forget_masks()
        elif isinstance(layer, Image):
            place = self._places.of_masks
            if place is not None and layer is place.image:
                self._forget_masks()
            previous = self._places.of_restorable
            if previous is not None and layer is previous.image:
                self._generator.forget_previous()
                self._show_count()


def _pyramid(plane: ImagePlane, spec: ModelSpec) -> TilePyramid:
    """Return the tiles of a plane, embedded by us whatever was imported."""
    return TilePyramid(plane.shape, spec)
