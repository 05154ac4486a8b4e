"""The options that find masks with an instance decoder in place of a grid of clicks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from napari_sam.engine.methods import Method

if TYPE_CHECKING:
    from napari_sam.engine.instance_settings import InstanceSettings
    from napari_sam.session.models.model_choice import ModelChoice

_OF_GRIDS: Final = "--{} is about a grid of clicks: leave it out, or use --method grid."
_OF_DECODERS: Final = "--{} is about instance decoders: add --method ais or --method apg."
_FOR_ALL: Final = ("preset", "max_share", "output_mode")
"""Options of grids that have a meaning with every method."""


def instance_options() -> list[click.Parameter]:
    """Return an option for each of the `InstanceSettings`, for the method and for tiles."""
    from napari_sam.engine.automatic_settings import offered_settings
    from napari_sam.engine.instance_settings import InstanceSettings

    defaults = InstanceSettings()
    return [
        click.Option(
            ["--method"],
            type=click.Choice([str(method) for method in Method]),
            default=str(Method.GRID),
            show_default=True,
            help="How masks are found: from a grid of clicks, or with the instance decoder of a "
            "model, from its maps alone (ais) or from a click into each object that they show "
            "(apg).",
        ),
        click.Option(
            ["--tiles"],
            type=click.IntRange(min=64),
            metavar="PX",
            help="With ais and apg: decode tiles of PX pixels, and stitch their maps. For images "
            "larger than the model's input, where objects would be small.",
        ),
        *(
            click.Option(
                [f"--{name.replace('_', '-')}"],
                type=kind,
                help=f"With ais and apg: {setting.help[0].lower()}{setting.help[1:]}",
                show_default="as published" if name == "min_size" else str(getattr(defaults, name)),
            )
            for name, (kind, setting) in offered_settings(InstanceSettings).items()
        ),
    ]


def taken_instance_settings(
    options: dict[str, Any], *, proposals: bool, edges: bool
) -> tuple[Method, InstanceSettings | None, int | None]:
    """Take these options out of all; return the method, its settings and the side of tiles."""
    from napari_sam.engine.instance_settings import PUBLISHED, InstanceSettings

    method, tile_px = Method(options.pop("method")), options.pop("tiles")
    values = {name: options.pop(name) for name in vars(InstanceSettings())}
    given = {name: value for name, value in values.items() if value is not None}
    if method is Method.GRID:
        names = [*given, *(["tiles"] if tile_px is not None else [])]
        if names:
            raise click.UsageError(_OF_DECODERS.format(names[0].replace("_", "-")))
        return method, None, None
    others = {"proposals": proposals or None, "edges": edges or None} | options
    for name, value in others.items():
        if value is not None and name not in _FOR_ALL:
            raise click.UsageError(_OF_GRIDS.format(name.replace("_", "-")))
    try:
        return method, replace(PUBLISHED[method], **given), tile_px
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def check_instance_decoder(choice: ModelChoice, method: Method) -> None:
    """Refuse a model without an instance decoder where the method needs one."""
    from napari_sam.session.models.model_choice import has_instance_decoder

    if method is not Method.GRID and not has_instance_decoder(choice):
        msg = f"{choice.name} has no instance decoder: choose one of micro-sam's with --model, for "
        msg += "example vit_b_lm. 'napari-sam download' fetches a decoder that is missing."
        raise click.UsageError(msg)
