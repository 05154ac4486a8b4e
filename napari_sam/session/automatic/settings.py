"""What a user can choose about automatic masks; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from math import inf
from typing import Annotated, Any, Final

from napari_sam.engine.automatic_presets import CELLS, MAX_SHARE, PRESETS, Preset
from napari_sam.engine.automatic_settings import AutomaticSettings
from napari_sam.engine.instance_settings import PUBLISHED, InstanceSettings
from napari_sam.engine.methods import Method
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.linking.settings import LinkSettings

LOWEST_PRED_IOU: Final = 0.5
"""Masks of a lower predicted IoU are dropped at once, unless the threshold is lower still."""
LEAST_LIKENESS: Final = 0.4
"""Of masks that are ranked by examples."""
_POINTS_PER_BATCH: Final = 16
"""Fewer than published, so that clicks are answered sooner."""


def preset_for(plane: ImagePlane) -> tuple[Preset, str]:
    """Return the preset that suits an image, and why, if it is not the usual one."""
    if plane.is_16_bit_gray:
        return CELLS, "The preset is 'cells', because the image is 16-bit gray."
    return PRESETS[0], ""


@dataclass(frozen=True)
class AutomaticRunSettings:
    """How masks are found, which sizes are wanted, and how slices are linked."""

    published: AutomaticSettings = field(
        default_factory=lambda: AutomaticSettings(points_per_batch=_POINTS_PER_BATCH)
    )
    min_area_px: float = 0
    max_area_px: float = inf
    max_share: Annotated[float, MAX_SHARE] = 1.0
    least_likeness: float = LEAST_LIKENESS  # of masks that are ranked by examples, 0 to 1
    links: LinkSettings = field(default_factory=LinkSettings)  # how masks of slices are linked
    method: Method = Method.GRID  # how masks are found
    instances: InstanceSettings = PUBLISHED[Method.AIS]  # of the other methods

    @classmethod
    def of_published(
        cls, published: AutomaticSettings, max_share: float = 1.0
    ) -> AutomaticRunSettings:
        """Return published settings with small batches."""
        return cls(replace(published, points_per_batch=_POINTS_PER_BATCH), max_share=max_share)

    @classmethod
    def of_preset(cls, preset: Preset) -> AutomaticRunSettings:
        """Return the settings of a preset with small batches."""
        return cls.of_published(preset.settings, preset.max_share)

    def with_preset(self, settings: AutomaticRunSettings) -> AutomaticRunSettings:
        """Return the settings of a preset, with what belongs to no preset as it is here."""
        return replace(
            settings,
            least_likeness=self.least_likeness,
            links=self.links,
            method=self.method,
            instances=self.instances,
        )

    def with_method(self, method: Method) -> AutomaticRunSettings:
        """Return settings for another method, the smallest size as published for it."""
        min_size = PUBLISHED[method].min_size
        return replace(self, method=method, instances=replace(self.instances, min_size=min_size))

    def with_values(self, **values: Any) -> AutomaticRunSettings:
        """Return settings with other values, published ones or not; raises ValueError."""
        changed = self
        for part in ("links", "instances"):
            names = {item.name for item in fields(getattr(self, part))}
            own = {name: value for name, value in values.items() if name in names}
            values = {name: value for name, value in values.items() if name not in names}
            changed = replace(changed, **{part: replace(getattr(self, part), **own)})
        run = {item.name for item in fields(self)} & values.keys()
        published = {name: value for name, value in values.items() if name not in run}
        return replace(
            changed,
            published=replace(self.published, **published),
            **{name: values[name] for name in run},
        )

    def needs_another_run(self, earlier: AutomaticRunSettings) -> bool:
        """Whether these settings need masks that a run with earlier settings did not decode."""
        if self.method is not earlier.method or self.method is not Method.GRID:
            return self.method is not earlier.method
        lowest = min(earlier.published.pred_iou_thresh, LOWEST_PRED_IOU)
        return (
            bool(self.published.needing_another_run(earlier.published))
            or self.published.pred_iou_thresh < lowest
        )
