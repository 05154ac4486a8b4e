"""Write any checkpoint under the published names, or those of Hugging Face."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from napari_sam.model.build import check_complete
from napari_sam.model.checkpoints.files import CheckpointError
from napari_sam.model.checkpoints.layouts import POSITION_KEYS, to_hugging_face
from napari_sam.model.checkpoints.sam2_layouts import to_hugging_face_2
from napari_sam.model.checkpoints.state_dicts import check_values, read_checkpoint
from napari_sam.model.checkpoints.variants import VARIANTS
from napari_sam.model.sam.vit import ViTConfig
from napari_sam.model.sam2.config import Sam2Config
from napari_sam.storage.atomic import atomic_write
from napari_sam.storage.decoder_files import decoder_path as place_beside

_SUFFIXES: Final = (".safetensors", ".pt")


@dataclass(frozen=True)
class Conversion:
    """The result of `convert`.

    Attributes
    ----------
    variant : str
        A key of `VARIANTS`.
    path : Path
        The model.
    decoder_path : Path or None
        The weights of micro-sam's instance decoder, if the checkpoint held one.
    """

    variant: str
    path: Path
    decoder_path: Path | None


def convert(
    source: str | Path, target: str | Path, overwrite: bool = False, for_hugging_face: bool = False
) -> Conversion:
    """Write a checkpoint of any layout as another.

    Parameters
    ----------
    source : str or Path
        As for `read_checkpoint`.
    target : str or Path
        A ``.safetensors`` file, or a ``.pt`` file as Meta publishes them. An instance decoder is
        written next to it, as ``..._decoder.safetensors``.
    overwrite : bool
        Whether existing files may be replaced.
    for_hugging_face : bool
        Whether to write the names of a ``SamModel``, a ``Sam2VideoModel``, or a ``Sam2Model`` where
        there is nothing for sequences, in place of the published ones.

    Returns
    -------
    Conversion
        What was found and written.

    Raises
    ------
    CheckpointError
        If the source cannot be used, or a target would be overwritten. Nothing is written then.
    """
    target = Path(target)
    check_name(target)
    checkpoint = read_checkpoint(source)
    variant = check_complete(checkpoint, source)
    check_values(checkpoint.state_dict, source)
    state = checkpoint.state_dict
    if for_hugging_face:
        state = _renamed(state, variant)
    written = {target: state}
    decoder_path = None
    if checkpoint.decoder_state:
        decoder_path = place_beside(target, ".safetensors")
        written[decoder_path] = checkpoint.decoder_state
    for path in written:
        if not overwrite and _exists(path):
            raise CheckpointError(f"{path} already exists; choose another name, or overwrite it.")
    for path, tensors in written.items():
        write_weights(tensors, path, variant)
    return Conversion(variant, target, decoder_path)


def check_name(target: Path) -> None:
    """Raise CheckpointError unless a file of this name can be written."""
    if target.suffix not in _SUFFIXES:
        names = " or ".join(_SUFFIXES)
        raise CheckpointError(f"{target} does not end in {names}; choose a name that does.")


def _renamed(state: dict[str, Tensor], variant: str) -> dict[str, Tensor]:
    """Return published weights under the names of Hugging Face."""
    config = VARIANTS[variant]
    if isinstance(config, Sam2Config):
        return to_hugging_face_2(state)
    if not isinstance(config.image_encoder, ViTConfig):
        raise CheckpointError(
            f"Hugging Face has no model of the variant {variant}; convert it without that option."
        )
    renamed = to_hugging_face(state)
    return renamed | {POSITION_KEYS[1]: renamed[POSITION_KEYS[0]]}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror}).") from error


def write_weights(
    tensors: dict[str, Tensor],
    path: Path,
    variant: str,
    instance_decoder: dict[str, Tensor] | None = None,
) -> None:
    """Write weights as a file of either kind; those of SAM 2 as Meta wraps them.

    With an instance decoder, which only a ``.pt`` can hold, as micro-sam wraps them.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    separate = _separate(tensors)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            if path.suffix == ".safetensors":
                save_file(separate, partial, metadata={"format": "pt"})
            elif instance_decoder is not None:
                decoder_state = _separate(instance_decoder)
                torch.save({"model_state": separate, "decoder_state": decoder_state}, partial)
            else:
                is_wrapped = isinstance(VARIANTS[variant], Sam2Config)
                torch.save({"model": separate} if is_wrapped else separate, partial)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be written ({error}).") from error


def _separate(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return copies: safetensors takes no views, and no two names for one memory."""
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
