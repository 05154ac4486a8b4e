"""Read COCO's run-length encoding as crops, without a mask of the whole image.

pycocotools decodes whole images only, which takes a gigabyte for each object of a large one, and
none of more than 2**32 pixels.

Runs go down the columns; background and object alternate, background first. Files hold them
compressed as in the C code of https://github.com/cocodataset/cocoapi (``rleToString``): each
count, from the fourth on its difference to the count two before, in groups of five bits.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import MaskCrop
from napari_sam.formats.files import FileError, require_memory

_MAX_GROUPS: Final = 12
"""Groups of five bits that an integer of 64 bits holds."""


def counts_of_text(text: str) -> NDArray[np.int64]:
    """Return the lengths of the runs in a compressed encoding, ``counts`` in a COCO file.

    Examples
    --------
    >>> counts_of_text("52203").tolist()
    [5, 2, 2, 2, 5]
    """
    values = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    is_last = (values & 0x20) == 0
    if values.size and not is_last[-1]:
        raise FileError(f"The run-length encoding {text[:20]!r}... is cut off.")
    firsts = np.flatnonzero(np.r_[True, is_last[:-1]])
    positions = np.arange(values.size) - np.repeat(firsts, np.diff(firsts, append=values.size))
    if positions.max(initial=0) >= _MAX_GROUPS or (values >> 6).any():
        raise FileError(f"The run-length encoding {text[:20]!r}... is damaged.")
    differences = np.add.reduceat((values & 0x1F) << (5 * positions), firsts)
    # The highest bit of the last group is the sign.
    differences -= ((values[is_last] & 0x10) << 1) << (5 * positions[is_last])
    counts = differences.copy()
    counts[1::2] = np.cumsum(differences[1::2])
    counts[2::2] = np.cumsum(differences[2::2])
    return counts


def mask_of_counts(
    counts: Sequence[int] | NDArray[np.int64], shape: tuple[int, int]
) -> MaskCrop | None:
    """Return an object's mask within its box, its top and its left; None if it has no pixel."""
    lengths = np.asarray(counts, np.int64)
    bounds = np.cumsum(lengths)
    # Sums beyond 64 bits come out negative.
    if not bounds.size or bounds[-1] != shape[0] * shape[1] or min(lengths.min(), bounds.min()) < 0:
        raise FileError(
            f"A run-length encoding has {bounds[-1:].sum()} pixels, but its image has {shape[0]} x "
            f"{shape[1]}."
        )
    starts, stops = bounds[: lengths.size // 2 * 2 : 2], bounds[1::2]
    is_run = stops > starts
    starts, lasts = starts[is_run], stops[is_run] - 1
    if not starts.size:
        return None
    (first_columns, first_rows), (last_columns, last_rows) = (
        np.divmod(pixels, shape[0]) for pixels in (starts, lasts)
    )
    left, width = int(first_columns[0]), int(last_columns[-1] - first_columns[0]) + 1
    top, height = int(first_rows.min()), int(last_rows.max() - first_rows.min()) + 1
    if (first_columns < last_columns).any():
        top, height = 0, shape[0]
    require_memory(width * height, "The mask of an object")
    toggles = np.zeros(width * height + 1, np.uint8)
    toggles[(first_columns - left) * height + first_rows - top] ^= 1
    # In a second step, because a run may begin where another one ends.
    toggles[(last_columns - left) * height + last_rows - top + 1] ^= 1
    inside = np.bitwise_xor.accumulate(toggles[:-1]).view(np.bool_)
    return MaskCrop(np.ascontiguousarray(inside.reshape(width, height).T), top, left)
