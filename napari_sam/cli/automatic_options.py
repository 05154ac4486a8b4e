"""The published settings of automatic mask generation as options of a command."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from napari_sam.engine.automatic_settings import AutomaticSettings


class AutomaticCommand(click.Command):
    """A command with the published settings as options, under their names.

    They are made when they are asked for: their list needs numpy, which other commands do not.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options of the command, the published ones before its own."""
        arguments = [param for param in self.params if isinstance(param, click.Argument)]
        options = [param for param in super().get_params(ctx) if param not in arguments]
        return [*arguments, *self._published, *options]

    @cached_property
    def _published(self) -> list[click.Parameter]:
        from napari_sam.engine.automatic_presets import MAX_SHARE, PRESETS
        from napari_sam.engine.automatic_settings import (
            OUTPUT_MODES,
            AutomaticSettings,
            offered_settings,
        )

        names = [_key(preset.name) for preset in PRESETS]
        settings = offered_settings(AutomaticSettings) | {"max_share": (float, MAX_SHARE)}
        file = click.Path(exists=True, dir_okay=False, path_type=Path)
        return [
            click.Option(
                ["--preset"], type=click.Choice(names), help="Settings for a kind of image."
            ),
            *(
                click.Option([f"--{name.replace('_', '-')}"], type=kind, help=setting.help)
                for name, (kind, setting) in settings.items()
            ),
            click.Option(
                ["--point-grids"],
                type=file,
                help="JSON file of points from 0 to 1, for each layer [[x, y], ...].",
            ),
            click.Option(
                ["--output-mode"],
                type=click.Choice(OUTPUT_MODES),
                metavar=f"[{'|'.join(OUTPUT_MODES)}]",
                default="coco_rle",
                show_default=True,
                help="How the format sam stores masks.",
            ),
        ]


def _key(name: str) -> str:
    return name.replace(" ", "-")


def published_settings(
    preset: str | None = None, max_share: float | None = None, **options: Any
) -> tuple[AutomaticSettings, float]:
    """Return the settings that the options of an `AutomaticCommand` mean, and `max_share`."""
    from napari_sam.engine.automatic_presets import PRESETS

    start = next(item for item in PRESETS if preset in (None, _key(item.name)))
    changes = {name: value for name, value in options.items() if value is not None}
    try:
        if "point_grids" in changes:
            changes["point_grids"] = json.loads(changes["point_grids"].read_text())
            changes.setdefault("points_per_side", None)
        settings = replace(start.settings, **changes)
    except (ValueError, TypeError, RecursionError, OSError) as error:
        raise click.UsageError(str(error)) from error
    return settings, start.max_share if max_share is None else max_share
