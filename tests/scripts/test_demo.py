"""The demo that `make run` shows where there is no display."""

import subprocess
import sys
from pathlib import Path

import pytest
import tifffile

DEMO = Path(__file__).parents[2] / "scripts" / "demo.py"


@pytest.mark.slow
def test_the_demo_segments_two_coins_and_writes_what_it_shows(tmp_path, journals_folder):
    command = [sys.executable, str(DEMO), "--folder", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert run.returncode == 0, run.stderr
    assert "click to mask" in run.stdout
    assert tifffile.imread(tmp_path / "coins_labels.tif").max() == 2
    assert len(list(tmp_path.glob("*.png"))) >= 7
    assert not list(journals_folder.iterdir())
