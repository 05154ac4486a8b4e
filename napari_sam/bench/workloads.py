"""The timed work, the same for the model of this package and for its peers."""

from dataclasses import replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from skimage import data

from napari_sam.bench.timing import Subject
from napari_sam.model import MaskPrediction, Predictor
from napari_sam.model.transforms import resize_image

ORIGINAL_SIZE = 1200, 1800
POINT_XY = 989, 760  # on one of the coins
BATCH = 64
FAST_REPEATS = 5


class Workload(StrEnum):
    """What is timed, as the report names it."""

    ENCODE = "encode an image of 1200 x 1800"
    DECODE = "decode a click, three masks"
    DECODE_ONE = "decode a click, one mask"
    DECODE_BATCH = f"decode {BATCH} clicks, each"
    UPSCALE = "three masks to 1200 x 1800"
    DECODE_AND_UPSCALE = "decode a click, three masks of 1200 x 1800"


def example_image() -> npt.NDArray[np.uint8]:
    """Return Greek coins, (1200, 1800, 3) uint8; noise would give no real masks."""
    coins = np.repeat(np.asarray(data.coins())[..., None], 3, axis=2)
    return resize_image(coins, ORIGINAL_SIZE)


def batch_xy() -> npt.NDArray[np.float64]:
    """Return (64, 1, 2) points spread over the image."""
    height, width = ORIGINAL_SIZE
    positions = (np.arange(8) + 0.5) / 8
    x, y = np.meshgrid(positions * width, positions * height)
    return np.stack([x, y], axis=-1).reshape(BATCH, 1, 2)


def wait_for(device: str) -> None:
    """Wait until an accelerator has finished."""
    if device != "cpu":
        torch.accelerator.synchronize(device)


def our_subjects(predictor: Predictor) -> dict[Workload, Subject]:
    """Return the workloads of a predictor, used as the plugin does."""
    predictor.warm_up()
    image = example_image()
    embedding = predictor.encode(image)
    click: dict[str, Any] = {"points_xy": [POINT_XY], "point_labels": [1]}
    points = batch_xy()
    prediction = predictor.decode(embedding, **click)

    def encode() -> None:
        predictor.encode(image)
        wait_for(predictor.device)

    def decode(multimask_output: bool = True) -> MaskPrediction:
        return predictor.decode(embedding, **click, multimask_output=multimask_output)

    return {
        Workload.ENCODE: Subject(encode),
        Workload.DECODE: Subject(decode, FAST_REPEATS),
        Workload.DECODE_ONE: Subject(lambda: decode(multimask_output=False), FAST_REPEATS),
        Workload.DECODE_BATCH: Subject(
            lambda: predictor.decode_batch(embedding, points, np.ones(points.shape[:2])),
            count=len(points),
        ),
        # A copy has no masks yet.
        Workload.UPSCALE: Subject(lambda: replace(prediction).masks, FAST_REPEATS),
        Workload.DECODE_AND_UPSCALE: Subject(lambda: decode().masks, FAST_REPEATS),
    }
