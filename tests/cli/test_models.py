"""The commands about models, without a window."""

import json
import os
import warnings
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from napari_sam.catalogue.detectors import DETECTORS
from napari_sam.catalogue.table import BUNDLED, MODELS, find_model
from napari_sam.cli import models as cli_models
from napari_sam.cli.main import main
from napari_sam.session import EmbeddingStore

pytestmark = pytest.mark.slow


def _run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for variable in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_help_names_the_commands():
    output = _run("--help").output
    assert all(name in output for name in ("models", "doctor", "convert"))
    assert "safetensors" in _run("convert", "--help").output


def test_table_of_models(folder):
    (folder / "cells.safetensors").write_bytes(b"")
    result = _run("models")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split() == ["NAME", "SIZE", "ON", "DISK", "LICENSE", "GOOD", "FOR"]
    assert [line.split()[0] for line in lines[1 : 1 + len(MODELS)]] == [m.name for m in MODELS]
    assert lines[1].split()[:5] == ["mobile_sam", "39", "MB", "yes", "Apache-2.0"]
    assert lines[2].split()[:5] == ["vit_b", "375", "MB", "no", "Apache-2.0"]
    assert f"your own file: {folder / 'cells.safetensors'}" in lines[1 + len(MODELS)]
    assert [line.split()[0] for line in lines[-5:-2]] == [one.repository for one in DETECTORS]
    assert str(folder) in lines[-1]


def test_models_for_programs(folder):
    content = json.loads(_run("models", "--json").output)
    assert content["folder"] == str(folder)
    assert content["own_files"] == []
    first, second = content["models"][:2]
    assert first["paths"] == [str(BUNDLED.bundled)]
    assert second["paths"] == []
    assert second["sha256"].startswith("ec2df627")
    assert {"citation", "parameters", "license", "url", "size_bytes"} <= second.keys()
    assert content["detectors"][0]["revision"] == DETECTORS[0].revision


def test_doctor_says_what_there_is(folder):
    (folder / "mine.pt").write_bytes(bytes(3 * 2**20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about drivers
        result = _run("doctor")
    assert result.exit_code == 0
    for text in (f"torch {metadata.version('torch')}", "cpu, ", "GiB available", "'auto' chooses"):
        assert text in result.output
    assert f"models: {folder}, 3 MiB" in result.output
    assert "Hugging Face" in result.output


def test_doctor_names_folders_that_may_not_be_read(folder, monkeypatch):
    true_iterdir = Path.iterdir

    def refuse(path):
        if path == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return true_iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    result = _run("doctor")
    assert result.exit_code == 0
    assert f"models: {folder}, cannot be read (Permission denied)" in result.output
    assert f"To repair: You have no permission to read {folder}" in result.output


@pytest.mark.parametrize("variable", ["NAPARI_SAM_EMBEDDINGS", "NAPARI_SAM_JOURNALS"])
def test_doctor_names_folders_that_cannot_be_written(tmp_path, monkeypatch, variable):
    sound = _run("doctor").output
    assert "Cannot write" not in sound
    assert "journals: " in sound
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv(variable, str(folder))
        output = _run("doctor").output
        assert f"To repair: Cannot write to {folder} (Not a directory)" in output
        assert f"set the environment variable {variable} to another one." in output
        assert (tmp_path / "file").is_file()
    monkeypatch.setenv(variable, str(tmp_path / "new" / "folder"))
    assert "Cannot write" not in _run("doctor").output
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may do all")
def test_doctor_names_folders_that_may_not_be_written(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir(mode=0o500)
    monkeypatch.setenv("NAPARI_SAM_JOURNALS", str(tmp_path / "locked"))
    assert "locked (Permission denied)" in _run("doctor").output


def test_doctor_says_what_to_repair(monkeypatch):
    monkeypatch.setattr(cli_models, "installed_versions", lambda *names: {})
    monkeypatch.setattr(cli_models, "old_distribution_warning", lambda: "Uninstall the old one.")
    monkeypatch.setattr(cli_models, "broken_qt_warning", lambda: "Install another Qt.")
    output = _run("doctor").output
    assert "To repair: Qt is missing" in output
    assert "To repair: Uninstall the old one." in output
    assert "To repair: Install another Qt." in output
    assert "Nothing to repair" not in output


def test_convert(tmp_path):
    weights = load_file(BUNDLED.bundled)
    torch.save({"model_state": weights, "decoder_state": {"a": torch.ones(1)}}, tmp_path / "in.pt")
    target = tmp_path / "out.safetensors"
    result = _run("convert", tmp_path / "in.pt", target)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"Wrote {target} (vit_t).",
        f"Wrote its instance decoder to {tmp_path / 'out_decoder.safetensors'}.",
    ]
    written = load_file(target)
    assert written.keys() == weights.keys()
    assert all(torch.equal(written[name], weights[name]) for name in weights)

    again = _run("convert", tmp_path / "in.pt", target)
    assert again.exit_code == 1
    assert "already exists" in again.output
    assert _run("convert", "--overwrite", tmp_path / "in.pt", target).exit_code == 0


def test_convert_refuses_what_it_cannot_read(tmp_path):
    result = _run("convert", tmp_path / "none.pt", tmp_path / "out.safetensors")
    assert result.exit_code == 1
    assert "There is no checkpoint file" in result.output


def test_download_finds_what_is_there():
    result = _run("download", "mobile_sam")
    assert (result.exit_code, result.output.strip()) == (0, str(BUNDLED.bundled))


def test_download_says_what_went_wrong(monkeypatch):
    gone = replace(find_model("vit_b"), url="http://127.0.0.1:9/gone.pth", hugging_face=None)
    monkeypatch.setattr("napari_sam.catalogue.table.MODELS", (gone,))
    result = _run("download", "vit_b")
    assert result.exit_code == 1
    assert "no connection to the server" in result.output
    assert _run("download", "sam3").exit_code == 2


def test_a_download_of_unknown_size_does_not_look_done():
    assert cli_models._thousandths(2**18, 0) == 0
    assert [cli_models._thousandths(done, 4) for done in (0, 1, 4)] == [0, 250, 1000]


def test_cache(embeddings_folder):
    store = EmbeddingStore()
    store.put(f"{0:032x}-encoder", {"image_embedding": np.ones(2**20, np.float32)})
    store.flush()
    store.close()
    assert _run("cache").output == f"1 embedding, 4 MiB, in {embeddings_folder}\n"
    assert "0 embeddings" in _run("cache", "--clear").output
    assert list(embeddings_folder.iterdir()) == []
