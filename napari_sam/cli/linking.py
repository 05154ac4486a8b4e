"""The options that link masks of separate slices to objects of several slices."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from napari_sam.session.linking.settings import LinkSettings


def link_options() -> list[click.Parameter]:
    """Return an option for each of the `LinkSettings`, and the one that asks for linking."""
    from napari_sam.engine.automatic_settings import offered_settings
    from napari_sam.session.linking.settings import LinkSettings, Splits

    defaults = LinkSettings()
    return [
        click.Option(
            ["--through"],
            metavar="AXIS",
            help="Link the masks of slices along an axis to objects of several slices: z, t or "
            "another letter, or the number of the axis, 0 for the first.",
        ),
        *(
            click.Option(
                [f"--{name.replace('_', '-')}"],
                type=kind,
                help=f"With --through: {setting.help[0].lower()}{setting.help[1:]}",
                show_default=str(getattr(defaults, name)),
            )
            for name, (kind, setting) in offered_settings(LinkSettings).items()
        ),
        click.Option(
            ["--splits"],
            type=click.Choice([str(splits) for splits in Splits]),
            help="With --through: whether an object that splits from one slice to the next stays "
            "one, or the smaller parts become objects of their own.",
            show_default=str(defaults.splits),
        ),
    ]


def taken_link_settings(options: dict[str, Any]) -> tuple[str | None, LinkSettings | None]:
    """Take these options out of all; return the axis and the settings, None without linking."""
    from napari_sam.session.linking.settings import LinkSettings, Splits

    through = options.pop("through")
    names = [field.name for field in fields(LinkSettings)]
    values = {name: options.pop(name) for name in names}
    given = {name: value for name, value in values.items() if value is not None}
    if through is None:
        if given:
            name = next(iter(given)).replace("_", "-")
            raise click.UsageError(f"--{name} is about linked slices: add --through AXIS.")
        return None, None
    if "splits" in given:
        given["splits"] = Splits(given["splits"])
    try:
        return through, LinkSettings(**given)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
