"""What may import what, and what importing the package costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import napari_sam

PACKAGE = Path(napari_sam.__file__).parent
GUI = frozenset({"napari", "qtpy", "PyQt6", "PySide6", "superqt", "magicgui", "vispy", "app_model"})
PARTS = (
    "model",
    "session",
    "layers",
    "_qt",
    "activity",
    "automatic_run",
    "batch",
    "bench",
    "catalogue",
    "class_list",
    "cli",
    "cli_automatic",
    "cli_bench",
    "cli_choice",
    "cli_embed",
    "cli_files",
    "cli_models",
    "cli_predict",
    "cli_published",
    "cli_request",
    "export",
    "exporting",
    "image_files",
    "installation",
    "journal_keeper",
    "key_help",
    "key_settings",
    "layer_files",
    "many_at_once",
    "model_switch",
    "naming",
    "object_files",
    "object_list",
    "restoring",
    "request",
    "samples",
    "session_files",
    "status_bar",
    "widget",
    "writing",
)

# For each part of the package: the other parts that it may import, and packages it may not.
ALLOWED = {
    "model": set(),
    "session": {"model", "catalogue", "naming", "writing"},
    "layers": {"naming", "session"},
    "_qt": {"session", "catalogue"},
    "activity": {"session"},
    "automatic_run": {"layers", "session", "_qt"},
    "batch": {"cli_files", "export", "exporting", "image_files", "model", "session"},
    "bench": {"installation", "model", "samples", "session", "widget"},  # the widget in a window
    "catalogue": set(),
    "class_list": {"layers", "object_list", "session", "_qt"},
    "export": {"naming", "writing"},
    "exporting": {"export", "session"},
    "image_files": {"cli_files", "layers", "session"},
    "installation": set(),
    "journal_keeper": {"layers", "session"},
    "key_help": {"key_settings", "layers", "session", "_qt"},
    "key_settings": {"writing"},
    "layer_files": {"export", "exporting", "layers", "session"},
    "many_at_once": {"export", "exporting", "layers", "session", "_qt"},
    "model_switch": {"catalogue", "session", "_qt"},
    "naming": set(),
    "object_files": {"export", "exporting", "layers", "session", "_qt"},
    "object_list": {"exporting", "layers", "object_files", "session", "_qt"},
    "restoring": {"journal_keeper", "layers", "session", "_qt"},
    "samples": set(),
    "session_files": {"journal_keeper", "layers", "session", "_qt"},
    "status_bar": {"session"},
    "widget": {
        "session",
        "layers",
        "_qt",
        "activity",
        "class_list",
        "automatic_run",
        "installation",
        "journal_keeper",
        "key_help",
        "many_at_once",
        "model_switch",
        "object_list",
        "restoring",
        "session_files",
        "status_bar",
    },
    "cli": {
        "widget",
        "session",
        "installation",
        "cli_automatic",
        "cli_bench",
        "cli_choice",
        "cli_embed",
        "cli_files",
        "cli_models",
        "cli_predict",
        "cli_request",
    },
    "cli_bench": {"bench", "catalogue", "cli_files", "model"},  # inside functions
    # Those of commands are all inside functions.
    "cli_automatic": {
        "batch",
        "catalogue",
        "cli_choice",
        "cli_files",
        "cli_published",
        "model",
        "session",
    },
    "cli_choice": {"catalogue", "model", "session"},
    "cli_embed": {"cli_choice", "cli_files", "image_files", "session"},
    "cli_files": set(),
    "cli_models": {"catalogue", "cli_files", "installation", "model", "session"},
    "cli_predict": {
        "batch",
        "cli_choice",
        "cli_files",
        "export",
        "exporting",
        "image_files",
        "session",
    },
    "cli_published": {"model", "session"},
    "cli_request": {"cli_choice", "cli_files", "export", "request"},
    "request": {"model", "session"},
    "writing": set(),
}
FORBIDDEN = {
    "model": GUI | {"psygnal"},
    "session": GUI,
    "layers": {"qtpy", "PyQt6", "PySide6", "superqt", "vispy", "torch"},
    "_qt": {"napari", "vispy", "torch"},
    "activity": {"torch"},
    "automatic_run": {"torch", "qtpy"},
    "batch": GUI | {"torch"},
    "class_list": {"torch", "qtpy"},
    "bench": set(),
    "catalogue": GUI | {"torch"},
    "cli_automatic": GUI | {"torch"},
    "cli_bench": GUI,
    "cli_choice": GUI | {"torch"},
    "cli_embed": GUI | {"torch"},
    "cli_files": GUI - {"napari"} | {"torch"},
    "cli_models": GUI,
    "cli_predict": GUI | {"torch"},
    "cli_published": GUI | {"torch"},
    "cli_request": GUI | {"torch"},
    "export": GUI | {"torch"},
    "exporting": GUI | {"torch"},
    "image_files": GUI - {"napari"} | {"torch"},
    "installation": GUI | {"torch"},
    "journal_keeper": {"torch", "qtpy"},
    "key_help": {"torch"},
    "key_settings": GUI | {"torch"},
    "layer_files": GUI - {"napari"} | {"torch"},
    "many_at_once": {"torch", "qtpy"},
    "model_switch": {"torch", "qtpy"},
    "naming": GUI | {"torch"},
    "object_files": {"torch", "qtpy"},
    "object_list": {"torch", "qtpy"},
    "restoring": {"torch", "qtpy"},
    "request": GUI | {"torch"},
    "samples": GUI | {"torch"},
    "session_files": {"torch", "qtpy"},
    "status_bar": {"torch"},
    "widget": {"torch"},
    "cli": {"torch", "qtpy"},
    "writing": GUI | {"torch"},
}


def _files(part: str) -> list[Path]:
    single = PACKAGE / f"{part}.py"
    return [single] if single.exists() else sorted((PACKAGE / part).glob("**/*.py"))


def _imports(file: Path) -> list[tuple[int, str]]:
    """Return the line and the full name of all imports, also of those inside functions."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def _part_of(module: str) -> str | None:
    names = module.split(".")
    return names[1] if names[0] == "napari_sam" and len(names) > 1 and names[1] in PARTS else None


@pytest.mark.parametrize("part", PARTS)
def test_parts_import_in_one_direction(part: str) -> None:
    files = _files(part)
    assert files
    wrong = [
        f"{file.relative_to(PACKAGE)}:{line} imports {module}"
        for file in files
        for line, module in _imports(file)
        if _part_of(module) not in {None, part, *ALLOWED[part]}
        or module.split(".")[0] in FORBIDDEN[part]
    ]
    assert wrong == []


def test_every_module_belongs_to_a_part() -> None:
    modules = {file.stem for file in PACKAGE.glob("*.py")} | {
        file.parent.name for file in PACKAGE.glob("*/__init__.py")
    }
    assert modules == {"__init__", *PARTS}


def _modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", ["napari_sam", "napari_sam.cli.main"])
def test_importing_is_cheap(module: str) -> None:
    loaded = _modules_after(f"import {module}")
    assert "napari_sam" in loaded
    assert loaded & {"torch", "qtpy", "PyQt6", "napari", "numpy", "skimage"} == set()


def test_session_and_widget_leave_torch_to_the_background() -> None:
    assert "torch" not in _modules_after("import napari_sam.session")
    assert "torch" not in _modules_after("import napari_sam.widget")


def test_a_list_of_models_needs_no_torch() -> None:
    assert _modules_after("import napari_sam.catalogue") & {"torch", *GUI} == set()


def test_export_needs_neither_gui_nor_torch() -> None:
    assert _modules_after("import napari_sam.formats") & {"torch", *GUI} == set()


def test_session_needs_no_gui() -> None:
    assert _modules_after("import napari_sam.session, napari_sam.model") & GUI == set()
