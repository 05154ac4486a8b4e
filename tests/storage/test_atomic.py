"""Files that have their name only when they are complete."""

import os
import subprocess
import sys
import time

from napari_sam.storage.atomic import atomic_write

KILLED = """
import os, signal, sys
from pathlib import Path
from napari_sam.storage.atomic import atomic_write
with atomic_write(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_what_a_killed_program_has_left_goes_after_a_day_and_nothing_of_others(tmp_path):
    path = tmp_path / "objects.json"
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    (left,) = tmp_path.iterdir()
    just_now = left.with_name(left.name.replace(".part", "0.part"))
    foreign = tmp_path / ".0123456789ab.part"
    for file in (just_now, foreign):
        file.write_text("")
    for file in (left, foreign):
        os.utime(file, (time.time() - 2 * 86400,) * 2)
    with atomic_write(path) as partial:
        partial.write_text("whole")
    assert set(tmp_path.iterdir()) == {path, just_now, foreign}
    assert path.read_text() == "whole"
