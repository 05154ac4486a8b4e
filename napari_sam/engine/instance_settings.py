"""The settings of segmentation with an instance decoder.

Source: A. Archit et al., "Segment Anything for Microscopy" (Nature Methods 2025,
doi:10.1038/s41592-024-02580-4). Names, meanings and defaults are the published ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from napari_sam.engine.automatic_settings import Setting, check_number, offered_settings
from napari_sam.engine.methods import Method


@dataclass(frozen=True)
class InstanceSettings:
    """Published settings of segmentation with an instance decoder; annotations explain them.

    Raises
    ------
    ValueError
        If a value makes no sense.
    """

    center_distance_threshold: Annotated[
        float,
        Setting(
            *(0, 1, 0.01),
            "Objects begin where the distance to the center is lower; lower it to separate more.",
        ),
    ] = 0.5
    boundary_distance_threshold: Annotated[
        float,
        Setting(
            *(0, 1, 0.01),
            "Objects begin where the distance to the boundary, which is low inside, is lower.",
        ),
    ] = 0.5
    foreground_threshold: Annotated[
        float, Setting(0, 1, 0.01, "Objects end where the foreground is lower.")
    ] = 0.5
    foreground_smoothing: Annotated[
        float, Setting(0, 10, 0.1, "Sigma in pixels that smooths the foreground (ais only).")
    ] = 1.0
    distance_smoothing: Annotated[
        float, Setting(0, 10, 0.1, "Sigma in pixels that smooths the distances (ais only).")
    ] = 1.6
    nms_threshold: Annotated[
        float,
        Setting(
            *(0, 1, 0.05),
            "Of two masks that overlap with a higher IoU, drop the worse (apg only).",
        ),
    ] = 0.9
    box_rounds: Annotated[
        int,
        Setting(
            *(0, 1, 1),
            "1: decode each object once more, from the box around its mask (apg only); "
            "refine_with_box_prompts in micro-sam.",
        ),
    ] = 0
    min_size: Annotated[
        int,
        Setting(
            *(0, 100_000, 5), "Drop objects of fewer pixels. Published: 0 for ais, 25 for apg."
        ),
    ] = 0

    def __post_init__(self) -> None:
        for name, (kind, setting) in _SETTINGS.items():
            check_number(name, getattr(self, name), kind, setting.lowest)


_SETTINGS = offered_settings(InstanceSettings)

PUBLISHED: Final = {
    Method.GRID: InstanceSettings(),  # without effect
    Method.AIS: InstanceSettings(),
    Method.APG: InstanceSettings(min_size=25),
}
"""The published settings of each method."""
