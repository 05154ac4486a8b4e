"""Load a detector from a repository of Hugging Face or from a folder."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from napari_sam.engine.detection import Detector

INSTALL_COMMAND: Final = 'pip install "napari-sam-live[text]"'
_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+")
_SUPPORTED: Final = "Grounding DINO, OWL-ViT, OWLv2 or CLIPSeg"


class DetectorError(ValueError):
    """A detector cannot be used; the message says what to do."""


def require_transformers() -> None:
    """Raise DetectorError with what to install if transformers is missing."""
    if find_spec("transformers") is None:
        msg = f"Finding objects by words needs the package transformers; run: {INSTALL_COMMAND}"
        raise DetectorError(msg)


def load_detector(source: str | Path, revision: str | None = None, device: str = "cpu") -> Detector:
    """Load a detector; imports torch and transformers.

    transformers downloads a repository to its own cache, unless it is there or `HF_HUB_OFFLINE`
    is set. Code from the repository is never run.

    Parameters
    ----------
    source : str or Path
        A repository, such as ``"google/owlv2-base-patch16-ensemble"``, or a folder that a model
        and its processor were saved to.
    revision : str, optional
        The commit, branch or tag of the repository; by default its newest commit.
    device : str
        A torch device.

    Raises
    ------
    DetectorError
        If transformers is missing, or the detector cannot be found, loaded, or is of no known
        kind.
    """
    from napari_sam.detectors.boxes import BoxDetector
    from napari_sam.detectors.heat_map import HeatMapDetector

    require_transformers()
    folder = Path(source).expanduser()
    if not folder.is_dir() and not _REPOSITORY.fullmatch(str(source)):
        msg = f"{source} is neither a folder nor a repository: give one such as OWNER/NAME."
        raise DetectorError(msg)
    where = (str(folder), None) if folder.is_dir() else (str(source), revision)
    model, processor = _loaded(*where, BoxDetector.model_types, HeatMapDetector.model_types)
    kind = BoxDetector if model.config.model_type in BoxDetector.model_types else HeatMapDetector
    return kind(str(source), model.to(device).eval(), processor)


def _loaded(
    source: str, revision: str | None, box_types: frozenset[str], heat_map_types: frozenset[str]
) -> tuple[Any, Any]:
    """Return the model and the processor."""
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(source, revision=revision or "main")
        if config.model_type in box_types:
            model_class = transformers.AutoModelForZeroShotObjectDetection
        elif config.model_type in heat_map_types:
            model_class = transformers.CLIPSegForImageSegmentation
        else:
            msg = f"{source} is a model of type {config.model_type}: choose {_SUPPORTED}."
            raise DetectorError(msg)
        # The commit that the configuration is of, should the repository change meanwhile.
        commit = getattr(config, "_commit_hash", None) or revision or "main"
        model = model_class.from_pretrained(source, revision=commit, config=config)
        return model, transformers.AutoProcessor.from_pretrained(source, revision=commit)
    except DetectorError:
        raise
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DetectorError(
            f"The detector {source} cannot be loaded ({reason}): connect to the internet for a "
            "first download, or give a folder that it was saved to."
        ) from error
