"""What README and docs/ promise: commands parse, scripts run, pictures are there and small."""

import re
import shlex
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import tifffile
import yaml
from skimage import data, io

from napari_sam.catalogue.table import MODELS
from napari_sam.cli.main import main
from napari_sam.engine.detection import Detection
from napari_sam.formats.registry import ALL_FORMATS
from napari_sam.layers.shortcuts import SHORTCUTS, key_text

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
LARGEST_PICTURE = 200_000
LARGEST_FILM = 1_500_000
ALL_PICTURES = 3_000_000
PROGRAMS = {"pip", "python", "make", "dask", "uv", "sh", "xvfb-run", "pytest", "sudo"}


def blocks(page: Path, language: str) -> list[str]:
    """Return the code of a page in a language, also where it is part of a list."""
    found = re.finditer(rf"^( *)```{language}\n(.*?)^\1```", page.read_text(), re.M | re.S)
    return [re.sub(rf"^{block[1]}", "", block[2], flags=re.M) for block in found]


def commands(page: Path) -> list[list[str]]:
    """Return the words of each command in the shell blocks of a page."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    lines = [re.split(r" (?:>|\|) ", line)[0] for line in text.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words and words[0] != "."]


def parse(words: list[str]) -> None:
    """Parse the arguments of `napari-sam` as the command does, without running it."""
    context = main.make_context("napari-sam", list(words), resilient_parsing=False)
    name, command, arguments = main.resolve_command(
        context, [*context._protected_args, *context.args]
    )
    with command.make_context(name, arguments, parent=context):
        pass  # leaving it closes files that are named in the arguments


def test_commands_are_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    count = 0
    for page in PAGES:
        for words in commands(page):
            program, *arguments = words
            where = f"{page.name}: {shlex.join(words)}"
            if program == "napari-sam":
                for name in arguments:
                    if "." in name and not name.startswith("tcp:"):
                        (tmp_path / name).parent.mkdir(exist_ok=True)
                        (tmp_path / name).touch()
                try:
                    parse(arguments)
                except click.exceptions.Exit:
                    pass  # of --help
                except click.ClickException as error:
                    pytest.fail(f"{where}: {error.format_message()}")
                count += 1
            elif program == "make":
                assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.M), where
            else:
                assert program.split("/")[-1] in PROGRAMS or program.isupper() or "=" in program, (
                    where
                )
            for script in arguments:
                if script.endswith(".py"):
                    assert (ROOT / script).is_file(), where
    assert count > 30


class CoinDetector:
    """Finds one coin, whatever the word."""

    name, revision, side, default_threshold = "coins", None, 1024, 0.2

    def detect(self, image, words, check):
        return [Detection(words[0], 0.9, (186, 168, 236, 216))]


@pytest.mark.slow
def test_scripts_run(tmp_path, monkeypatch, capsys, remembering_predictor):
    pytest.importorskip("laptrack")
    io.imsave(tmp_path / "coins.png", data.coins())
    labels = np.zeros((5, 40, 60), np.uint16)
    for t in range(5):
        labels[t, 5:15, 5 + t : 15 + t] = 2 * t + 1
        labels[t, 25:35, 40 - t : 50 - t] = 2 * t + 2
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("napari_sam.model.Predictor", lambda *_: remembering_predictor)
    monkeypatch.setattr("napari_sam.detectors.load_detector", lambda *_: CoinDetector())
    for page in PAGES:
        namespace = {}
        for code in blocks(page, "python"):
            exec(compile(code, page.name, "exec"), namespace)
    assert "pixels" in capsys.readouterr().out


def test_pictures_and_pages_are_there():
    used = set()
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "main/docs/images/" in link:
                link = str(DOCS / "images" / link.rpartition("/")[2])
            elif re.match(r"https?:|#", link):
                continue
            target = (page.parent / link.partition("#")[0]).resolve()
            assert target.is_file(), f"{page.name}: {link}"
            used.add(target)
    pictures = set((DOCS / "images").iterdir())
    assert pictures <= used
    sizes = {picture.name: picture.stat().st_size for picture in pictures}
    assert sizes["one_minute.webp"] < LARGEST_FILM
    assert sum(sizes.values()) < ALL_PICTURES
    assert all(size < LARGEST_PICTURE for name, size in sizes.items() if name != "one_minute.webp")


def test_each_picture_is_made_by_the_script():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import screenshots
    finally:
        sys.path.pop(0)
    made = {*screenshots.SCENES, "one_minute"}
    assert made == {picture.stem for picture in (DOCS / "images").glob("*.webp")}


def test_each_page_is_in_the_menu():
    def pages(entries):
        for entry in entries:
            value = next(iter(entry.values())) if isinstance(entry, dict) else entry
            yield from pages(value) if isinstance(value, list) else [value]

    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert sorted(pages(settings["nav"])) == sorted(there)


def test_tables_are_complete():
    keys = (DOCS / "keys.md").read_text()
    for shortcut in SHORTCUTS:
        key = key_text(shortcut.binding).replace("Escape", "Esc")
        if key in "23456789":  # `1` to `9`, and what has no key
            continue
        assert f"`{key}`" in keys, key
    formats = (DOCS / "files.md").read_text()
    for file_format in ALL_FORMATS:
        title = file_format.title.removeprefix("Semantic ")
        assert re.search(rf"^\|.*\b{title}\b.*\|", formats, re.MULTILINE), file_format.title
    models = (DOCS / "models.md").read_text()
    for model in MODELS:
        assert f"`{model.name}`" in models, model.name
