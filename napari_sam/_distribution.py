"""The names of this distribution and its dock, and checks for others that it cannot work with."""

import os
import sys
from contextlib import suppress
from importlib import metadata
from typing import Final

DISTRIBUTION: Final = "napari-sam-live"
DOCK_NAME: Final = "Click to segment (SAM live)"
"""The widget's title in napari's menus, by which they find the dock instead of adding another."""
_OLD_DISTRIBUTION: Final = "napari-sam"
_BROKEN_PYSIDE6: Final = "6.12.0"
"""Loses a reference to None each time Python has it process events."""
_IMMORTAL_NONE: Final = 3, 12
"""The first Python that does not count references to None."""


def installed_versions(*names: str) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    versions = {}
    for name in names:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def old_distribution_warning() -> str:
    """Return how to remove an older plugin that shares our folder; empty if there is none."""
    version = installed_versions(_OLD_DISTRIBUTION).get(_OLD_DISTRIBUTION)
    if version is None:
        return ""
    return (
        f"The older plugin {_OLD_DISTRIBUTION} {version} is installed as well, and shares the "
        f"folder napari_sam with {DISTRIBUTION}.\nTo repair this, uninstall it (pip uninstall "
        f"{_OLD_DISTRIBUTION}), then reinstall {DISTRIBUTION}."
    )


def broken_qt_warning() -> str:
    """Return which Qt to install instead of one that aborts this Python; empty if it is sound."""
    versions = installed_versions("PyQt6", "PySide6")
    is_in_use = "PyQt6" not in versions or os.environ.get("QT_API", "").lower() == "pyside6"
    if (
        not is_in_use
        or versions.get("PySide6") != _BROKEN_PYSIDE6
        or sys.version_info >= _IMMORTAL_NONE
    ):
        return ""
    return (
        f"PySide6 {_BROKEN_PYSIDE6} crashes Python {sys.version_info[0]}.{sys.version_info[1]} "
        "after a while.\nTo repair this, install another version: pip install "
        f"'PySide6!={_BROKEN_PYSIDE6}'."
    )
