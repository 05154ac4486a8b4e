"""Where automatic masks lie: on which plane of which image, and through which slices."""

from collections.abc import Mapping
from dataclasses import replace
from weakref import WeakKeyDictionary

from napari_sam.layers.binding import LayerBinding
from napari_sam.layers.plane_view import ShownPlane
from napari_sam.session.automatic.generator import AutomaticMaskGenerator
from napari_sam.session.automatic.request import AutomaticRequest


class AutomaticPlaces:
    """The planes of the runs, and the way to that of the masks on offer."""

    def __init__(self, binding: LayerBinding, generator: AutomaticMaskGenerator) -> None:
        self._binding, self._generator = binding, generator
        self._places: WeakKeyDictionary[AutomaticRequest, ShownPlane] = WeakKeyDictionary()

    def note(self, request: AutomaticRequest, shown: ShownPlane) -> None:
        """Note which plane was shown when a run began."""
        first = None if request.slices is None else request.slices.indices.start
        self._places[request] = shown if first is None else _at(shown, first)

    @property
    def of_masks(self) -> ShownPlane | None:
        """Where the masks on offer lie; of several slices, the first one."""
        return _place_of(self._generator.request, self._places)

    @property
    def of_restorable(self) -> ShownPlane | None:
        """Where the masks lie that can be restored."""
        return _place_of(self._generator.restorable_request, self._places)

    @property
    def is_shown(self) -> bool:
        """Whether the masks on offer lie on the shown plane, or go through it."""
        request, shown = self._generator.request, self._binding.plane.shown
        if request is None or request.slices is None or shown is None:
            return bool(self.of_masks == shown)
        indices = request.slices.indices
        is_between = shown.view.slice_index in indices
        return is_between and self.of_masks == _at(shown, indices.start)

    @property
    def elsewhere(self) -> str:
        """Where the masks on offer lie, if not on the shown plane."""
        place, plane = self.of_masks, self._binding.plane
        if place is None or self.is_shown:
            return ""
        name = place.image.name
        return f"another slice or view of '{name}'" if place.image is plane.image else f"'{name}'"

    def go(self) -> None:
        """Show the plane of the masks on offer, unless it is shown."""
        place = self.of_masks
        if place is not None and not self.is_shown:
            self._binding.set_image(place.image)
            self._binding.plane.go_to(place.view)


def _place_of(
    request: AutomaticRequest | None, places: Mapping[AutomaticRequest, ShownPlane]
) -> ShownPlane | None:
    return None if request is None else places.get(request)


def _at(shown: ShownPlane, slice_index: int) -> ShownPlane:
    """Return the plane at another position of the slider next to it."""
    return replace(shown, view=shown.view.at_slice(slice_index))
