"""Verify that image embeddings of micro-sam belong to an image and to a model."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings import as_float32
from napari_sam.engine.protocols import Engine
from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session.image.tiles import Tile
from napari_sam.session.jobs import Job
from napari_sam.session.micro_sam.embeddings import (
    MicroSamEmbeddings,
    MicroSamError,
    open_embeddings,
)
from napari_sam.session.micro_sam.image import formerly_normalized, micro_sam_normalized
from napari_sam.session.models.model_choice import ModelChoice, variant_of

_GREATEST_ERROR: Final = 0.03
"""Norm of the difference as a share of the norm, between an embedding and one of the same model.

Measured with MobileSAM on six images: the same weights in bfloat16 are up to 0.022 off, in float32
below 1e-5. Weights that are off by a hundredth of their spread give 0.042 and more, another
training far more. micro-sam's two normalizations differ by less than this only where that does not
matter.
"""
_MAX_TRIES: Final = 4
"""Damaged tiles that are read before all count as damaged."""


def open_for(path: Path, image: Any, job: Job) -> MicroSamEmbeddings:
    """Open embeddings and verify that they are of an image; reads all of its pixels."""
    stored = open_embeddings(path)
    shape = tuple(int(length) for length in image.shape)
    if not stored.has_shape_of(shape):
        height, width = stored.pyramid.shape
        slices = f"{stored.slice_count} slices of " if stored.ndim == 3 else ""
        raise MicroSamError(
            f"Embeddings of {slices}{height} x {width} pixels, not {shape}: choose their image, "
            f"with its axes in the same order ({path})."
        )
    if not stored.matches(image, job.report):
        raise MicroSamError(
            "Embeddings of another image, as pixels differ: choose that one, or continue without "
            f"({path})."
        )
    return stored


def is_of_model(
    stored: MicroSamEmbeddings, image: Any, choice: ModelChoice, engine: Engine, job: Job
) -> bool:
    """Whether a model computed the embeddings, by the hash of its file or by recomputing one."""
    if not stored.model_type.startswith(variant_of(choice)):
        return False
    if choice.checkpoint is not None and stored.is_of_file(choice.checkpoint):
        return True
    tile, slice_index, expected = _sample(stored)
    plane = image if stored.ndim == 2 else image[slice_index]
    pixels = np.asarray(
        plane[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
    )
    shown = [normalized(pixels) for normalized in (micro_sam_normalized, formerly_normalized)]
    if (shown[0] == shown[1]).all():
        del shown[1]
    return any(
        _error(_encoded(engine, pixels, job), expected) <= _GREATEST_ERROR for pixels in shown
    )


def _encoded(engine: Engine, pixels: NDArray[np.uint8], job: Job) -> NDArray[np.float32]:
    embedding = engine.encoder.encode(pixels, lambda done, total: job.report(done / total))
    return as_float32(embedding.to_arrays()[SAM_SPEC.arrays[0].name])


def _sample(stored: MicroSamEmbeddings) -> tuple[Tile, int, NDArray[np.float32]]:
    """Return an intact embedding, from the middle if possible, with its tile and slice."""
    first_error: MicroSamError | None = None
    for slice_index, tile_index in islice(_from_the_middle(stored), _MAX_TRIES):
        try:
            embedding = stored.embedding(slice_index, tile_index)
        except MicroSamError as error:
            first_error = first_error or error
        else:
            return stored.tiles[tile_index], slice_index, embedding.image_embedding
    assert first_error is not None  # a store without any tile is not opened
    raise first_error


def _from_the_middle(stored: MicroSamEmbeddings) -> Iterator[tuple[int, int]]:
    """Yield the slices and their embedded tiles, from the middle outwards."""
    middle = stored.slice_count // 2
    for slice_index in sorted(range(stored.slice_count), key=lambda index: abs(index - middle)):
        tiles = stored.tile_numbers(slice_index)
        for position in sorted(range(len(tiles)), key=lambda n: abs(n - len(tiles) // 2)):
            yield slice_index, tiles[position]


def _error(computed: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(computed - expected) / np.linalg.norm(expected))
