"""What is on stdout: results, and nothing that readers print there."""

import json
import os
import subprocess
import sys

import npe2
import numpy as np
import pytest
from click.testing import CliRunner

from napari_sam.cli.main import main

LOUD = """
import ctypes, os
from napari_sam.cli.output import print_json, readers_on_stderr
with readers_on_stderr():
    print("from Python")
    os.system("echo from a program")
    os.write(1, b"from a descriptor\\n")
    if os.name == "posix":
        ctypes.CDLL(None).puts(b"from C")
print_json({"score": float("nan"), "sizes": [1, float("inf")]})
"""


@pytest.fixture
def loud_reader():
    """A plugin that prints while it opens a file, and while its pixels are read."""
    dask = pytest.importorskip("dask")
    array = pytest.importorskip("dask.array")

    @dask.delayed
    def read(path):
        sys.stdout.write(f"reading {path}\n")
        pixels = np.full((60, 80), 40, np.uint8)
        pixels[20:40, 30:60] = 220
        return pixels

    with npe2.DynamicPlugin("loud") as plugin:

        @plugin.contribute.reader(filename_patterns=["*.loud"])
        def get_reader(path):
            def open_lazily(path):
                sys.stdout.write(f"opening {path}\n")
                return [(array.from_delayed(read(path), (60, 80), np.uint8), {}, "image")]

            return open_lazily

        yield


def test_whatever_is_printed_in_the_block_is_on_stderr():
    done = subprocess.run([sys.executable, "-c", LOUD], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"score": None, "sizes": [1, None]}
    kinds = ["C"] * (os.name == "posix") + ["Python", "a descriptor", "a program"]
    assert sorted(done.stderr.splitlines()) == [f"from {kind}" for kind in kinds]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "--point", "45,30"),
        ("embed",),
        ("automatic", "--points-per-side", "1", "-o", "masks"),
    ],
)
def test_readers_print_nothing_into_json(loud_reader, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells.loud").touch()
    command, *options = arguments
    options += ["--json", "--reader", "loud"]
    result = CliRunner().invoke(main, [command, "cells.loud", *options])
    assert result.exit_code == 0, result.output
    json.loads(result.stdout)
    assert "opening" in result.stderr
    assert "reading" in result.stderr
