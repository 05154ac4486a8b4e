"""What the report says about the computer."""

import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from napari_sam.bench.machine import describe_machine
from napari_sam.bench.memory import peak_bytes

pytestmark = pytest.mark.slow


def test_the_machine_is_described_without_whose_it_is():
    machine = describe_machine("cpu")
    assert list(machine) == ["system", "processor", "cores", "memory", "gpu"]
    assert str(Path.home()) not in str(machine)


def test_the_processor_has_its_name_on_macos(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    answer = SimpleNamespace(stdout="Apple M4\n")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: answer)
    assert describe_machine("cpu")["processor"] == "Apple M4"


def test_peak_memory_is_what_each_system_says(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=5 * 2**20))
    monkeypatch.setattr(psutil, "Process", lambda: process)
    assert peak_bytes() == 5 * 2**20
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    usage = SimpleNamespace(getrusage=lambda _: SimpleNamespace(ru_maxrss=7), RUSAGE_SELF=0)
    monkeypatch.setitem(sys.modules, "resource", usage)
    assert peak_bytes() == 7
