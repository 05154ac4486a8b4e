"""The folders of the plugin and of tools that keep models, and the variables that move them."""

import os
from pathlib import Path
from typing import Final

import platformdirs

MODELS_VARIABLE: Final = "NAPARI_SAM_MODELS"
EMBEDDINGS_VARIABLE: Final = "NAPARI_SAM_EMBEDDINGS"
JOURNALS_VARIABLE: Final = "NAPARI_SAM_JOURNALS"
SETTINGS_VARIABLE: Final = "NAPARI_SAM_SETTINGS"

_APP: Final = "napari-sam-live"


def models_folder() -> Path:
    """Return the folder of downloaded models; it need not exist yet."""
    return _folder(MODELS_VARIABLE, platformdirs.user_cache_path(_APP) / "models")


def embeddings_folder() -> Path:
    """Return the folder of stored embeddings; it need not exist yet."""
    return _folder(EMBEDDINGS_VARIABLE, platformdirs.user_cache_path(_APP) / "embeddings")


def journals_folder() -> Path:
    """Return the folder of journals; it need not exist yet."""
    return _folder(JOURNALS_VARIABLE, platformdirs.user_state_path(_APP) / "journals")


def settings_folder() -> Path:
    """Return the folder of settings; it need not exist yet."""
    return _folder(SETTINGS_VARIABLE, platformdirs.user_config_path(_APP))


def shared_model_folders() -> dict[str, Path]:
    """Return the folders in which other tools keep models, by the tool's name."""
    cache = _folder("XDG_CACHE_HOME", Path("~/.cache"))
    micro_sam = _folder("MICROSAM_CACHEDIR", platformdirs.user_cache_path("micro_sam"))
    hugging_face = _folder("HF_HOME", cache / "huggingface")
    return {
        "micro-sam": micro_sam / "models",
        "napari-segment-anything": expand_user("~/.cache/napari-segment-anything"),
        "torch hub": _folder("TORCH_HOME", cache / "torch") / "hub" / "checkpoints",
        "Hugging Face": _folder("HF_HUB_CACHE", hugging_face / "hub"),
    }


def _folder(variable: str, default: Path) -> Path:
    return expand_user(os.environ.get(variable) or default)


def expand_user(path: str | Path) -> Path:
    """Return a path with the home folder for ~, or as it is where there is none."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # no such user, or none that has this name
        return Path(path)
