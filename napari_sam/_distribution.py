"""What may be wrong with an installation."""

from __future__ import annotations

from importlib import metadata
from typing import Final

DISTRIBUTION: Final = "napari-sam-live"
_OLD_DISTRIBUTION: Final = "napari-sam"


def old_distribution_warning() -> str:
    """Return what to do about an older plugin that shares our folder; empty if it is not there."""
    try:
        version = metadata.version(_OLD_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return ""
    return (
        f"{_OLD_DISTRIBUTION} {version}, an older plugin, is installed too, and shares the"
        f" folder napari_sam with {DISTRIBUTION}.\nTo repair this, run"
        f" `pip uninstall {_OLD_DISTRIBUTION}`, then install {DISTRIBUTION} again."
    )
