"""Every order of prompting, accepting and closing is quiet, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TIMEOUT_S = 600
SCRIPT = Path(__file__).with_name("closing_orders.py")


CLOSINGS = (
    "while embedding",
    "by its X",
    "while decoding",
    "dock first",
    "image deleted first",
    "viewer.close",
    "object chosen",
    "left open",
)


@pytest.mark.slow
def test_every_order_of_closing_is_quiet(tmp_path):
    # napari writes the icons of its themes into the cache: two processes at once read halves.
    own = {"XDG_CACHE_HOME": str(tmp_path), "NAPARI_CONFIG": str(tmp_path / "settings.yaml")}
    closed = subprocess.run(
        [sys.executable, SCRIPT, *CLOSINGS],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (closed.returncode, closed.stderr) == (0, "")
