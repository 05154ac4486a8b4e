"""What package indexes read: the settings, the recipe for conda-forge, the citation, addresses."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from napari_sam import __version__

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch", "xxhash": "python-xxhash"}
WITH_ADDRESSES = (
    *("README.md", "CITATION.cff", "CONTRIBUTING.md", "setup.cfg"),
    "packaging/conda-forge/meta.yaml",
)


@pytest.fixture(scope="module")
def settings() -> ConfigParser:
    parser = ConfigParser(comment_prefixes="#", inline_comment_prefixes=None)
    parser.read(ROOT / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def recipe() -> dict:
    text = (ROOT / "packaging/conda-forge/meta.yaml").read_text()
    values = dict(re.findall(r'\{% set (\w+) = "(.+?)" %\}', text)) | {"python_min": "3.11"}
    text = re.sub(r"^\{%.*%\}$", "", text, flags=re.MULTILINE)
    return yaml.safe_load(
        re.sub(r"\{\{ (\w+)?.*? ?\}\}", lambda found: values.get(found[1], "x"), text)
    )


def split(requirement: str) -> tuple[str, str]:
    name, bound = re.fullmatch(r"([\w-]+) *(>=.+)", requirement).groups()
    return CONDA_NAMES.get(name, name), bound


def test_the_recipe_has_the_dependencies_of_the_package(settings, recipe):
    ours = dict(map(split, settings["options"]["install_requires"].split()))
    assert (
        f">={recipe['requirements']['host'][0].split()[1]}"
        == (settings["options"]["python_requires"])
    )
    conda = dict(map(split, recipe["requirements"]["run"]))
    assert conda.pop("python") == settings["options"]["python_requires"]
    assert conda.pop("pyqt") == ">=6"
    assert conda == ours


def test_the_recipe_is_of_this_version(settings, recipe):
    assert recipe["package"] == {"name": settings["metadata"]["name"], "version": __version__}
    assert recipe["source"]["url"].endswith(f"v{__version__}/napari_sam_live-{__version__}.tar.gz")
    assert (
        settings["options.entry_points"]["console_scripts"].strip()
        in (recipe["build"]["entry_points"])
    )
    assert recipe["about"]["summary"] == settings["metadata"]["description"]
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_all_addresses_of_the_repository_are_those_of_the_settings(settings):
    url = settings["metadata"]["url"]
    owner, name = url.removeprefix("https://github.com/").split("/")
    known = (
        url,
        f"https://raw.githubusercontent.com/{owner}/{name}/main/",
        f"https://{owner}.github.io/{name}/",
    )
    for file in WITH_ADDRESSES:
        text = (ROOT / file).read_text()
        for address in re.findall(rf"https://[^\s)\"'>]*{name}[^\s)\"'>]*", text):
            assert address.startswith(known), (file, address)


def test_the_readme_can_be_shown_elsewhere():
    readme = (ROOT / "README.md").read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", readme)
    assert pictures
    links = re.findall(r"(?<!\!)\[.*?\]\((.*?)\)", readme)
    assert all(address.startswith(("https://", "#")) for address in (*pictures, *links))
    without_code = re.sub(r"^```.*?^```", "", readme, flags=re.DOTALL | re.MULTILINE)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", without_code, re.MULTILINE)]
    assert levels.count(1) == 1
    assert set(levels[1:]) == {2}


def test_the_citation_can_be_read(settings):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == settings["metadata"]["license"]
    assert citation["repository-code"] == settings["metadata"]["url"]
    assert all(author["name"] for author in citation["authors"])
