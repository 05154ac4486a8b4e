"""How strongly outlines are cleaned, for the window and for the command line; imports nothing."""

from typing import Final

CLEAN_STRENGTH: Final = 0.5
"""What suits most images: overlaps with true outlines stay the same (benchmarks/cleaning.py)."""
