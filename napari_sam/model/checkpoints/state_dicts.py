"""The content of a checkpoint, and whether it fits a model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_sam.model.checkpoints.files import (
    CheckpointError,
    find_weights,
    name_some,
    read_content,
)
from napari_sam.model.checkpoints.layouts import POSITION_KEYS, to_published, without_prefixes
from napari_sam.model.checkpoints.sam2_layouts import from_hugging_face_2, is_hugging_face_2
from napari_sam.storage.decoder_files import find_decoder

WRAPPERS = ("model_state", "model_state_dict", "state_dict", "model")
"""Under which names training saves the state dict, beside the state of the optimizer."""
_MAX_WRAPPERS = 3
_DECODER = "decoder_state"
_MODIFIED = (
    "It may be a modified model, such as HQ-SAM or a model with adapters, which is not supported; "
    "choose a checkpoint of SAM itself."
)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a checkpoint.

    Attributes
    ----------
    state_dict : dict of str to Tensor
        The model's weights under their published names, on the CPU.
    decoder_state : dict of str to Tensor
        The weights of micro-sam's instance decoder; usually empty.
    decoder_file : Path, optional
        Where they lie, if not in the file of the model.
    """

    state_dict: dict[str, Tensor]
    decoder_state: dict[str, Tensor] = field(default_factory=dict)
    decoder_file: Path | None = None


def read_checkpoint(path: str | Path, *, lazily: bool = False) -> Checkpoint:
    """Read the tensors of a checkpoint without running any code in it.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors`` file, a PyTorch file of any other name, a folder saved by Hugging Face's
        ``SamModel``, ``Sam2Model`` or ``Sam2VideoModel``, with its weights in one file or several,
        or the index of several files. The names may be those of Meta, Hugging Face, or micro-sam;
        the state dict may be one of the `WRAPPERS`, and all its names may have prefixes that
        training puts before them. An instance decoder may be in the same file, as micro-sam saves
        it, or beside it in one of its own, as it is published: ``vit_b_decoder.pt`` beside
        ``vit_b.pt``.
    lazily : bool
        Read tensors only when they are accessed, where the format allows it: for names and shapes
        this is fast and takes no memory, but damage inside a tensor goes unnoticed.

    Returns
    -------
    Checkpoint
        With published names, from any layout.

    Raises
    ------
    CheckpointError
        If a file is missing, unreadable, truncated, not a state dict, would run code, or does not
        match its index.
    """
    path = find_weights(Path(path))
    content = read_content(path, lazily)
    decoder: object = None
    for _ in range(_MAX_WRAPPERS):
        if not isinstance(content, Mapping):
            break
        parts = [content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)]
        if not parts:
            break
        decoder = content.get(_DECODER, decoder)  # as micro-sam saves it
        content = parts[0]
    state_dict = without_prefixes(_checked_tensors(content, path))
    _check_positions(state_dict, path)
    rename = from_hugging_face_2 if is_hugging_face_2(state_dict) else to_published
    return Checkpoint(rename(state_dict), *_decoder(decoder, path, lazily=lazily))


def _decoder(content: object, path: Path, *, lazily: bool) -> tuple[dict[str, Tensor], Path | None]:
    """Return the weights of an instance decoder, in a model's file or beside it, and their file."""
    if content is not None and content != {}:
        return _checked_tensors(content, path), None
    file = find_decoder(path)
    if file is None:
        return {}, None
    content = read_content(file, lazily)
    if isinstance(content, Mapping):
        content = content.get(_DECODER, content)
    return _checked_tensors(content, file), file


def _check_positions(state_dict: Mapping[str, Tensor], path: Path) -> None:
    """Reject two different positional encodings; Hugging Face stores the same one twice."""
    first, second = (state_dict.get(key) for key in POSITION_KEYS)
    if first is not None and second is not None and not torch.equal(first.float(), second.float()):
        raise CheckpointError(
            f"{path} contains two different positional encodings, {' and '.join(POSITION_KEYS)}; "
            "SAM has only one. Choose a checkpoint of SAM itself."
        )


def _checked_tensors(state_dict: object, path: Path) -> dict[str, Tensor]:
    if not isinstance(state_dict, Mapping) or not state_dict:
        raise CheckpointError(
            f"{path} contains {_describe(state_dict)} instead of a state dict. "
            "Choose a file that maps names to tensors, as the published checkpoints do."
        )
    for key, value in state_dict.items():
        name = repr(name_some([key]))
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(
                f"{path} is not a state dict: entry {name} is {_describe(value)}, not a tensor. "
                "If it is a training checkpoint, save only the model's state dict."
            )
        if fault := _fault(value):
            raise CheckpointError(
                f"{path} cannot be used: entry {name} {fault}. Save the model's weights as plain "
                "float32 tensors."
            )
    return dict(state_dict)


def _fault(tensor: Tensor) -> str:
    """Return what keeps a tensor from being an array of numbers; empty if it is one."""
    if tensor.layout != torch.strided or tensor.is_nested:
        return f"is sparse or nested ({str(tensor.layout).removeprefix('torch.')})"
    if tensor.is_quantized or tensor.is_complex():
        return f"consists of {str(tensor.dtype).removeprefix('torch.')}"
    if tensor.is_meta:
        return "has a shape but no values"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"has the shape {tuple(tensor.shape)}, but fewer values"
    return ""


def _describe(value: object) -> str:
    if isinstance(value, Mapping) and not value:
        return "an empty mapping"
    return f"an object of type {type(value).__name__}"


def check_keys(
    model: nn.Module,
    state_dict: Mapping[str, Tensor],
    source: str | Path,
    ignored_prefixes: tuple[str, ...] = (),
    what: str = "this model variant",
    advice: str = _MODIFIED,
) -> dict[str, Tensor]:
    """Compare a state dict with a model; every key and every shape must match.

    Parameters
    ----------
    model : nn.Module
        Only its names and shapes are used; it may be on the meta device.
    state_dict : mapping of str to Tensor
        Published key names.
    source : str or Path
        Named in messages.
    ignored_prefixes : tuple of str
        Ignore unexpected keys with these prefixes.
    what, advice : str
        What it is that does not match, and what to do then.

    Returns
    -------
    dict of str to Tensor
        What to load into the model: the state dict without the ignored keys.

    Raises
    ------
    CheckpointError
        If keys are missing, unexpected, or of another shape or type.
    """
    given = {k: v for k, v in state_dict.items() if not k.startswith(ignored_prefixes)}
    expected = model.state_dict()
    missing = [key for key in expected if key not in given]
    unexpected = [key for key in given if key not in expected]
    misshapen = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in given and not _fits(given[key], tensor)
    ]
    whole = [
        f"{key} {str(given[key].dtype).removeprefix('torch.')}"
        for key, tensor in expected.items()
        if key in given and tensor.is_floating_point() and not given[key].is_floating_point()
    ]
    problems = [
        f"{len(keys)} {kind}: {name_some(keys)}"
        for kind, keys in (
            ("missing keys", missing),
            ("unexpected keys", unexpected),
            ("keys of another shape", misshapen),
            ("keys of another type", whole),
        )
        if keys
    ]
    if problems:
        raise CheckpointError(f"{source} does not match {what} ({'; '.join(problems)}). {advice}")
    return given


def check_values(state_dict: Mapping[str, Tensor], source: str | Path) -> None:
    """Reject NaN and infinite weights, one tensor after the other, without copying them.

    Raises
    ------
    CheckpointError
        If there is NaN or infinity among them.
    """
    wrong = [key for key, tensor in state_dict.items() if not _is_finite(tensor)]
    if wrong:
        raise CheckpointError(
            f"{source} has NaN or infinite values in {len(wrong)} of its weights: "
            f"{name_some(wrong)}. "
            "Its training may have failed: choose an earlier checkpoint."
        )


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    # Unlike `isfinite` and `all`, it makes no tensor of the same size.
    limits = torch.aminmax(tensor if tensor.element_size() > 1 else tensor.float())
    return all(map(math.isfinite, (limits.min.item(), limits.max.item())))


def _fits(given: Tensor, expected: Tensor) -> bool:
    # Published files have batch-norm counters of shape (1,), those of torch are ().
    return given.shape == expected.shape or (expected.ndim == 0 and given.shape == (1,))
