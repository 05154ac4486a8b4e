"""The folders that the plugin writes to, and those of other tools."""

from pathlib import Path

import platformdirs
import pytest

from napari_sam.storage import folders


@pytest.fixture
def home(tmp_path, monkeypatch):
    for variable in (
        "XDG_CACHE_HOME",
        "TORCH_HOME",
        "HF_HUB_CACHE",
        "HF_HOME",
        "MICROSAM_CACHEDIR",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("variable", "folder_of", "default"),
    [
        ("NAPARI_SAM_MODELS", folders.models_folder, ("cache", "models")),
        ("NAPARI_SAM_EMBEDDINGS", folders.embeddings_folder, ("cache", "embeddings")),
        ("NAPARI_SAM_JOURNALS", folders.journals_folder, ("state", "journals")),
        ("NAPARI_SAM_SETTINGS", folders.settings_folder, ("config",)),
    ],
)
def test_a_variable_moves_a_folder(home, monkeypatch, variable, folder_of, default):
    monkeypatch.setenv(variable, str(home / "chosen"))
    assert folder_of() == home / "chosen"
    monkeypatch.setenv(variable, "~/chosen")
    assert folder_of() == home / "chosen"
    monkeypatch.delenv(variable)
    platform_folder = getattr(platformdirs, f"user_{default[0]}_dir")("napari-sam-live")
    assert folder_of() == Path(platform_folder, *default[1:])


def test_the_folders_of_other_tools(home, monkeypatch):
    assert folders.shared_model_folders()["Hugging Face"] == home / ".cache/huggingface/hub"
    monkeypatch.setenv("TORCH_HOME", str(home / "torch"))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    shared = folders.shared_model_folders()
    assert shared["torch hub"] == home / "torch" / "hub" / "checkpoints"
    assert shared["Hugging Face"] == home / "hf" / "hub"
    assert shared["micro-sam"].parts[-2:] == ("micro_sam", "models")
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "hub"))
    assert folders.shared_model_folders()["Hugging Face"] == home / "hub"


def test_a_home_that_does_not_exist_ends_nothing(monkeypatch):
    monkeypatch.setenv("NAPARI_SAM_MODELS", "~nosuchuser/models")
    assert folders.models_folder() == Path("~nosuchuser/models")
    assert folders.expand_user("~\ud800/x") == Path("~\ud800/x")
    monkeypatch.setattr(Path, "home", Path.cwd)

    def no_home(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    assert folders.shared_model_folders()["torch hub"].parts[-2:] == ("hub", "checkpoints")
