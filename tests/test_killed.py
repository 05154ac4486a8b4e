"""A real program with the real widget is killed while it annotates; another one restores it all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.systems import needs_fork

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "killed.py"


@needs_fork
def test_what_was_done_before_a_kill_is_restored_in_another_program(tmp_path) -> None:
    own = {"XDG_CACHE_HOME": tmp_path, "NAPARI_SAM_KILLED": tmp_path}
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", "1", "--longest", "2"],
        env={**os.environ, **own, "NAPARI_CONFIG": tmp_path / "settings.yaml"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(", restored exactly") == 1
