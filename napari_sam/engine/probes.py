"""Probes: a click in small squares, with which small objects under it are looked for."""

from typing import Final

SHARES: Final = (1 / 40, 1 / 20, 1 / 10)
"""Sides of the squares, as shares of the side of the tile."""
HEIGHT: Final = 0.5
"""Where the masks of probes are cut, as a share of the logit at the click."""
