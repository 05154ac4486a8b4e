"""Units: their names in the annotations, and their symbols in each program."""

from typing import Final, NamedTuple

from napari_sam.formats.files import ExportError


class UnitSymbols(NamedTuple):
    """The symbols of a unit."""

    ascii: str  # in ImageJ's metadata and in headings of tables
    ome: str  # in OME-XML, whose schema allows no other


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
    """Return the name of a unit, a key of `UNIT_SYMBOLS`, from any name or symbol of it.

    Examples
    --------
    >>> unit_name("µm")
    'micrometer'
    """
    unit = unit.strip()
    name = unit if unit in UNIT_SYMBOLS else _ALIASES.get(unit)
    if name is None:
        raise ExportError(f"The unit {unit!r} is unknown; use one of {', '.join(UNIT_SYMBOLS)}.")
    return name
