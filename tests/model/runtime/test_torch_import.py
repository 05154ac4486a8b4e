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
    monkeypatch.setattr(torch_import, "_origin", lambda _: tmp_path / "__init__.py")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(dlopen=dlopen))
    torch_import._load_libraries()
    assert loaded == [str(tmp_path / "lib" / f"libtorch_cpu.{suffix}")]


def test_windows_imports_torch_as_usual(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(torch_import, "_origin", lambda _: tmp_path / "__init__.py")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("there is no dlopen"))
    torch_import._load_libraries()


@pytest.mark.skipif(not hasattr(os, "RTLD_DEEPBIND"), reason="needs the GNU library")
def test_triton_is_loaded_apart_from_the_compiler_of_the_graphics_driver(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(torch_import, "_origin", lambda package: tmp_path / package / "__init__.py")
    monkeypatch.setattr(ctypes, "CDLL", lambda *called: loaded.append(called))
    torch_import._load_triton_apart()
    library = tmp_path / "triton" / "_C" / "libtriton.so"
    assert loaded == [(str(library), os.RTLD_LAZY | os.RTLD_DEEPBIND)]


def test_nothing_is_loaded_where_there_is_no_triton(monkeypatch):
    monkeypatch.setattr(torch_import, "_origin", lambda _: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_: pytest.fail("there is nothing to load"))
    torch_import._load_triton_apart()
