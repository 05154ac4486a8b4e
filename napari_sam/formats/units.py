"""Names of units: one in our records, and what each program calls it."""

from __future__ import annotations

from typing import Final, NamedTuple

from napari_sam.formats.files import ExportError


class UnitSymbols(NamedTuple):
    """What a unit is called.

    Attributes
    ----------
    ascii : str
        In ImageJ's metadata and in headings of tables.
    ome : str
        In OME-XML, which allows no others than those of its schema.
    """

    ascii: str
    ome: str


# Keyed by the names that pint, and so napari, prints.
UNIT_SYMBOLS: Final = {
    "pixel": UnitSymbols("pixel", "pixel"),
    "angstrom": UnitSymbols("angstrom", "Å"),
    "nanometer": UnitSymbols("nm", "nm"),
    "micrometer": UnitSymbols("um", "µm"),
    "millimeter": UnitSymbols("mm", "mm"),
    "centimeter": UnitSymbols("cm", "cm"),
    "meter": UnitSymbols("m", "m"),
    "inch": UnitSymbols("inch", "in"),
    "microsecond": UnitSymbols("usec", "µs"),
    "millisecond": UnitSymbols("msec", "ms"),
    "second": UnitSymbols("sec", "s"),
    "minute": UnitSymbols("min", "min"),
    "hour": UnitSymbols("h", "h"),
}
_ALIASES: Final = {
    **{symbol: name for name, symbols in UNIT_SYMBOLS.items() for symbol in symbols},
    **{f"{name}s": name for name in UNIT_SYMBOLS},
    "": "pixel",
    "px": "pixel",
    "dimensionless": "pixel",
    "μm": "micrometer",  # with the Greek letter; the symbol above has the micro sign
    "\\u00B5m": "micrometer",  # as ImageJ escapes it
    "micron": "micrometer",
    "microns": "micrometer",
    "micrometre": "micrometer",
    "nanometre": "nanometer",
    "millimetre": "millimeter",
}


def unit_name(unit: str) -> str:
    """Return the one name of a unit that our records use.

    Parameters
    ----------
    unit : str
        A name or symbol, such as "micrometer", "um" or "µm".

    Returns
    -------
    str
        A key of `UNIT_SYMBOLS`.

    Raises
    ------
    ExportError
        If the unit is not known.

    Examples
    --------
    >>> unit_name("µm")
    'micrometer'
    """
    unit = unit.strip()
    name = unit if unit in UNIT_SYMBOLS else _ALIASES.get(unit)
    if name is None:
        msg = f"The unit {unit!r} is not known; give one of {', '.join(UNIT_SYMBOLS)}."
        raise ExportError(msg)
    return name
