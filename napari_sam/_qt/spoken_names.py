"""What a screen reader calls the parts of the dock that show no text."""

import re
from typing import Final

_END: Final = re.compile(r"[:;,.(\n]")


def spoken_name(tooltip: str) -> str:
    """Return the name of a part by its tooltip: how that begins."""
    return _END.split(tooltip, maxsplit=1)[0].strip()
