"""Units: their names in the annotations, their sizes, and their symbols in each program."""

from typing import Final, NamedTuple

from napari_sam.formats.files import FileError


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
# Lengths in nanometers and times in microseconds: whole numbers lose nothing in a quotient.
_LENGTHS: Final = {
    "angstrom": 0.1,
    "nanometer": 1,
    "micrometer": 1e3,
    "millimeter": 1e6,
    "centimeter": 1e7,
    "meter": 1e9,
    "inch": 25.4e6,
}
_TIMES: Final = {
    "microsecond": 1,
    "millisecond": 1e3,
    "second": 1e6,
    "minute": 60e6,
    "hour": 3600e6,
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
        raise FileError(f"The unit {unit!r} is unknown; use one of {', '.join(UNIT_SYMBOLS)}.")
    return name


def is_length(unit: str) -> bool:
    """Return whether lengths have this unit, a key of `UNIT_SYMBOLS`."""
    return unit in _LENGTHS


def is_time(unit: str) -> bool:
    """Return whether times have this unit, a key of `UNIT_SYMBOLS`."""
    return unit in _TIMES


def converted(size: float, unit: str, to_unit: str) -> float | None:
    """Return a size in another unit; None if the units do not measure the same.

    Examples
    --------
    >>> converted(500, "nanometer", "micrometer")
    0.5
    """
    if unit == to_unit:
        return size
    for sizes in (_LENGTHS, _TIMES):
        if unit in sizes and to_unit in sizes:
            return size * sizes[unit] / sizes[to_unit]
    return None
