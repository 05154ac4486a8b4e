"""How torch is imported on each system; the import itself is tested by all others."""

import ctypes
import os
import sys
from types import SimpleNamespace

import pytest

from napari_sam.model.runtime import torch_import


@pytest.mark.parametrize(("system", "suffix"), [("linux", "so"), ("darwin", "dylib")])
def test_libraries_are_loaded_by_the_names_of_the_system(tmp_path, monkeypatch, system, suffix):
    (tmp_path / "lib").mkdir()
    for ending in ("so", "dylib", "dll"):
        (tmp_path / "lib" / f"libtorch_cpu.{ending}").touch()
    loaded = []

    def dlopen(name, _):
        loaded.append(os.fsdecode(name))

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(torch_import, "_origin", lambda: tmp_path / "__init__.py")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(dlopen=dlopen))
    torch_import._load_libraries()
    assert loaded == [str(tmp_path / "lib" / f"libtorch_cpu.{suffix}")]


def test_windows_imports_torch_as_usual(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(torch_import, "_origin", lambda: tmp_path / "__init__.py")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("there is no dlopen"))
    torch_import._load_libraries()
