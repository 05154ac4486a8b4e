"""Write any checkpoint as safetensors under the published names."""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from napari_sam.model.build import check_complete
from napari_sam.model.checkpoints.files import CheckpointError
from napari_sam.model.checkpoints.state_dicts import check_values, read_checkpoint
from napari_sam.storage.atomic import atomic_write


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


def convert(source: str | Path, target: str | Path, overwrite: bool = False) -> Conversion:
    """Write a checkpoint of any layout as safetensors.

    Parameters
    ----------
    source : str or Path
        As for `read_checkpoint`.
    target : str or Path
        A ``.safetensors`` file. An instance decoder is written next to it, as ``..._decoder``.
    overwrite : bool
        Whether existing files may be replaced.

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
    if target.suffix != ".safetensors":
        raise CheckpointError(f"{target} does not end in .safetensors; choose a name that does.")
    checkpoint = read_checkpoint(source)
    variant = check_complete(checkpoint, source)
    check_values(checkpoint.state_dict, source)
    written = {target: checkpoint.state_dict}
    decoder_path = None
    if checkpoint.decoder_state:
        decoder_path = target.with_name(f"{target.stem}_decoder.safetensors")
        written[decoder_path] = checkpoint.decoder_state
    for path in written:
        if not overwrite and _exists(path):
            raise CheckpointError(f"{path} already exists; choose another name, or overwrite it.")
    for path, tensors in written.items():
        _write(tensors, path)
    return Conversion(variant, target, decoder_path)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({error.strerror}).") from error


def _write(tensors: dict[str, Tensor], path: Path) -> None:
    # Safetensors takes no views, and no two names for one memory.
    separate = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            save_file(separate, partial, metadata={"format": "pt"})
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be written ({error}).") from error
