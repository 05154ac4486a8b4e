"""What importing the package costs, who notifies napari, and who writes whose attributes.

What may import what is in `.importlinter`, which `make lint` checks.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_sam

PACKAGE = Path(napari_sam.__file__).parent
NOTIFYING = {"controllers", "_reader.py", "_writer.py"}
GUI = frozenset({"napari", "qtpy", "PyQt6", "PySide6", "superqt", "magicgui", "vispy", "app_model"})


@pytest.fixture(scope="module")
def nodes() -> dict[Path, list[ast.AST]]:
    """Return all that is written in each module."""
    return {
        path: list(ast.walk(ast.parse(path.read_text("utf-8")))) for path in PACKAGE.rglob("*.py")
    }


def _imports(file: Path, nodes: list[ast.AST]) -> list[str]:
    """Return the full name of all imports of a file, also of those inside functions."""
    names = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def test_only_controllers_reader_and_writer_notify(nodes: dict[Path, list[ast.AST]]) -> None:
    notifying = {
        file.relative_to(PACKAGE).parts[0]
        for file, its_nodes in nodes.items()
        if any(name.startswith("napari.utils.notifications") for name in _imports(file, its_nodes))
    }
    assert notifying <= NOTIFYING


def _modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_nobody_writes_another_objects_attributes(nodes: dict[Path, list[ast.AST]]) -> None:
    written = {path: list(_written(its_nodes)) for path, its_nodes in nodes.items()}
    own = {
        path: {target.attr for target in targets if ast.unparse(target.value) == "self"}
        for path, targets in written.items()
    }
    everywhere = set().union(*own.values())
    foreign = {path: everywhere - own[path] - _fields(nodes[path]) for path in nodes}
    others = {
        f"{path.name}: {ast.unparse(target)}"
        for path, targets in written.items()
        for target in targets
        if target.attr in foreign[path]
        and ast.unparse(target.value) not in ("layer", "roi")  # those of napari and roifile
    }
    assert not others


def _written(nodes: list[ast.AST]) -> Iterator[ast.Attribute]:
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node


def _fields(nodes: list[ast.AST]) -> set[str]:
    """Return the names of the fields of dataclasses."""
    annotated = (node.target for node in nodes if isinstance(node, ast.AnnAssign))
    return {target.id for target in annotated if isinstance(target, ast.Name)}


@pytest.mark.parametrize("module", ["napari_sam", "napari_sam.cli.main"])
def test_importing_is_cheap(module: str) -> None:
    loaded = _modules_after(f"import {module}")
    assert "napari_sam" in loaded
    assert loaded & {"torch", "qtpy", "PyQt6", "napari", "numpy", "skimage"} == set()


def test_session_and_widget_leave_what_takes_long_to_the_background() -> None:
    slow = {"torch", "pandas", "zarr", "requests", "scipy.signal", "scipy.stats", "scipy.optimize"}
    slow |= {"transformers", "huggingface_hub"}
    assert _modules_after("import napari_sam.session") & slow == set()
    assert _modules_after("import napari_sam.widget") & slow == set()


def test_checking_a_checkpoint_leaves_the_compiler_of_torch_alone() -> None:
    loaded = _modules_after(
        """
import torch
from napari_sam.model import VARIANTS
from napari_sam.model.build import build_model
with torch.device("meta"):  # on which arithmetic would import it, for seconds
    for config in VARIANTS.values():
        build_model(config)
"""
    )
    assert "napari_sam.model.build" in loaded
    assert "torch._dynamo" not in loaded


def test_a_list_of_models_needs_no_torch() -> None:
    assert _modules_after("import napari_sam.catalogue") & {"torch", *GUI} == set()


def test_export_needs_neither_gui_nor_torch() -> None:
    assert _modules_after("import napari_sam.formats") & {"torch", *GUI} == set()


def test_session_needs_no_gui() -> None:
    assert _modules_after("import napari_sam.session, napari_sam.model") & GUI == set()


def test_headless_runs_need_neither_gui_nor_torch_to_be_imported() -> None:
    modules = "napari_sam.batch.run, napari_sam.batch.words, napari_sam.request"
    modules += ", napari_sam.detectors"
    needless = {"torch", "transformers", "click", *GUI}
    assert _modules_after(f"import {modules}") & needless == set()
