"""Writing a model as two ONNX graphs, for browsers and other software.

The decoder takes and gives what that of Meta's published export does, so that programs written for
one run the other. The encoder takes an image as a resizing function leaves it, because means,
deviations and padding are where such programs go wrong.

S is the side of the model's square input, 1024 in all published models; e is S / 16.

``encoder.onnx``

- input_image (h, w, 3) float32: RGB, 0 to 255, resized with antialiasing so that the longer of h
  and w is S. It is normalized and padded inside. Both axes are free; software that needs fixed
  ones fills up to (S, S, 3) with the mean color, which comes to the same.
- image_embeddings (1, 256, e, e) comes out.

``decoder.onnx``

- image_embeddings (1, 256, e, e) float32.
- point_coords (1, N, 2) float32: (x, y) in pixels of the resized image; N is free.
- point_labels (1, N) float32: 1 foreground, 0 background, 2 and 3 the top-left and the
  bottom-right corner of a box, -1 padding. Where there is no box, the model wants one point more,
  (0, 0) with the label -1, as Meta's does.
- mask_input (1, 1, 4 e, 4 e) float32: one of the low_res_masks of an earlier run, or anything.
- has_mask_input (1,) float32: 1 if mask_input counts, else 0.
- orig_im_size (2,) float32: height and width of the image before it was resized.
- masks (1, 4, height, width) come out: logits, so a mask is where they exceed 0;
- iou_predictions (1, 4), the predicted quality of each; and
- low_res_masks (1, 4, 4 e, 4 e), the logits before they are upscaled.

Mask 0 answers clear prompts, such as a box or several points; 1 to 3 are the candidates of an
ambiguous one, such as a single click. Software that upscales by itself asks ONNX Runtime for the
other two outputs alone, with the run option ``only_execute_path_to_fetches``.

SAM 2.1 has more, under the names that other exports of it have:

- high_res_feats_0 (1, 32, 4 e, 4 e) and high_res_feats_1 (1, 64, 2 e, 2 e) come out of the encoder
  and go into the decoder, after image_embeddings.
- The model wants a point (0, 0) with the label -1 after all prompts, even a box.
- Mask 0 is the best of the others where it is not stable, as published.
- object_score_logits (1, 1) comes out of the decoder: above 0 if the object is in the image.
"""

import os
import secrets
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from types import ModuleType

import torch

from napari_sam import __version__
from napari_sam.model.checkpoints.variants import detect_variant
from napari_sam.model.onnx.graphs import (
    DecoderGraph,
    EncoderGraph,
    Sam2DecoderGraph,
    Sam2EncoderGraph,
)
from napari_sam.model.sam.base import PIXEL_MEAN, PIXEL_STD, SegmentAnything
from napari_sam.model.sam.common import EXPORTING
from napari_sam.model.sam.sam import Sam
from napari_sam.model.sam2.sam2 import Sam2
from napari_sam.storage.atomic import PARTIAL_SUFFIX, publish, scratch_folder

ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
OPSET = 17  # the first with layer normalization, and old enough for most software
MAX_FILE_BYTES = 2**31 - 2**24
"""Protobuf's limit, less room for the nodes: the weights of larger graphs go into another file."""


class OnnxExportError(ValueError):
    """A model cannot be exported; the message says why and what to do."""


@dataclass(frozen=True)
class OnnxFiles:
    """What `export_onnx` has written.

    Attributes
    ----------
    encoder, decoder : Path
        The graphs. Above two gigabytes a graph's weights lie beside it, in ``encoder.onnx.data``.
    """

    encoder: Path
    decoder: Path


def export_onnx(
    model: SegmentAnything,
    folder: str | Path,
    overwrite: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> OnnxFiles:
    """Write a model as ``encoder.onnx`` and ``decoder.onnx``; see this module for their interface.

    Parameters
    ----------
    model : Sam or Sam2
        From `load_model`; stays as it is.
    folder : str or Path
        Made if it is not there.
    overwrite : bool
        Whether files of these names may be replaced.
    metadata : mapping of str to str, optional
        What else to write into both files, such as where the weights are from and their license.

    Returns
    -------
    OnnxFiles
        Where they are.

    Raises
    ------
    OnnxExportError
        If the package onnx is missing, the files are there already, or they cannot be written. No
        file is left half written.
    """
    onnx = _import_onnx()
    folder = Path(folder)
    files = OnnxFiles(folder / ENCODER, folder / DECODER)
    if folder.exists() and not folder.is_dir():
        raise OnnxExportError(f"{folder} is a file; choose a folder.")
    graphs = (files.encoder, files.decoder)
    for path in (*graphs, *map(_weights_beside, graphs)):
        if path.exists() and not overwrite:
            raise OnnxExportError(f"{path} already exists; choose another folder, or overwrite it.")
    entries = _metadata(model) | dict(metadata or {})
    try:
        with _unfinished(folder) as partial:
            encoder, decoder = _graphs(model)
            _write(onnx, encoder, partial / ENCODER, entries)
            _write(onnx, decoder, partial / DECODER, entries)
            for path in graphs:
                _move(partial / path.name, path)
    except OSError as error:
        raise OnnxExportError(
            f"{folder} cannot be written to ({error}); choose another."
        ) from error
    return files


def _graphs(model: SegmentAnything) -> tuple[EncoderGraph, DecoderGraph]:
    if isinstance(model, Sam2):
        return Sam2EncoderGraph(model), Sam2DecoderGraph(model)
    assert isinstance(model, Sam)
    return EncoderGraph(model), DecoderGraph(model)


def _import_onnx() -> ModuleType:
    try:
        import onnx
    except ImportError as error:
        raise OnnxExportError(
            "The package onnx is missing; run 'pip install onnx onnxruntime', or install "
            "napari-sam-live with its extra [onnx]."
        ) from error
    module: ModuleType = onnx
    return module


def _metadata(model: SegmentAnything) -> dict[str, str]:
    variant, _ = detect_variant(model.state_dict(), "The model")
    return {
        "exported_by": f"napari-sam-live {__version__}",
        "variant": variant,
        "image_size": str(model.image_size),
        "pixel_mean": ", ".join(map(str, PIXEL_MEAN)),
        "pixel_std": ", ".join(map(str, PIXEL_STD)),
        "license": "that of the checkpoint which the weights are from",
    }


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """Make `folder`, and one inside it for unfinished files, which is removed in the end."""
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        name = f".onnx.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
        with scratch_folder(folder / name) as partial:
            yield partial
    finally:
        if is_new:
            with suppress(OSError):  # there is something in it now
                folder.rmdir()


@contextmanager
def _exporting() -> Iterator[None]:
    """Make the networks compute what a graph can hold, without torch's remarks on tracing."""
    token = EXPORTING.set(True)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # Branches depend on the sizes of the square input alone, which never change; and
            # torch would rather use another exporter, which needs two packages more.
            warnings.simplefilter("ignore")
            yield
    finally:
        EXPORTING.reset(token)


def _write(
    onnx: ModuleType,
    graph: EncoderGraph | DecoderGraph,
    path: Path,
    metadata: Mapping[str, str],
) -> None:
    raw = path.with_suffix(".raw")
    raw.mkdir()
    with _exporting():
        torch.onnx.export(
            graph.eval(),
            graph.example(),
            str(raw / path.name),  # with a Path it refuses what is larger than two gigabytes
            input_names=list(signature(graph.forward).parameters),
            output_names=list(graph.outputs),
            dynamic_axes=graph.free_axes,
            opset_version=OPSET,
            dynamo=False,
        )
    exported = onnx.load(raw / path.name)
    shutil.rmtree(raw)  # a large graph comes as hundreds of files
    onnx.helper.set_model_props(exported, dict(metadata))
    size = sum(weight.numel() * weight.element_size() for weight in graph.state_dict().values())
    if size > MAX_FILE_BYTES:
        beside = {"save_as_external_data": True, "location": _weights_beside(path).name}
        onnx.save_model(exported, path, **beside)
    else:
        onnx.save_model(exported, path)


def _weights_beside(graph: Path) -> Path:
    return graph.with_name(f"{graph.name}.data")


def _move(source: Path, target: Path) -> None:
    """Give a finished graph its name, after the weights that it refers to."""
    weights, old_weights = _weights_beside(source), _weights_beside(target)
    if weights.exists():
        publish(weights, old_weights)
    else:
        old_weights.unlink(missing_ok=True)
    publish(source, target)
