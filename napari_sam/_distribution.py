"""The name of this distribution, and a check for the older plugin in the same folder."""

from contextlib import suppress
from importlib import metadata
from typing import Final

DISTRIBUTION: Final = "napari-sam-live"
_OLD_DISTRIBUTION: Final = "napari-sam"


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
