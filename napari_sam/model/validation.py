"""Checks of the arguments of the predictor; each message says what to do."""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


def check_image(image: object) -> npt.NDArray[np.uint8]:
    """Return `image` if it is a non-empty (H, W, 3) uint8 array, else raise ValueError."""
    if not isinstance(image, np.ndarray):
        raise ValueError(f"The image is a {type(image).__name__}; pass a NumPy array.")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"The image has shape {image.shape}; pass (H, W, 3), with gray values repeated."
        )
    if image.dtype != np.uint8:
        raise ValueError(f"The image has dtype {image.dtype}; pass uint8, scaled to 0..255.")
    if image.size == 0:
        raise ValueError(f"The image has shape {image.shape}, which is empty; pass some pixels.")
    return image


def check_points(points_xy: Any, point_labels: Any, ndim: int) -> tuple[FloatArray, FloatArray]:
    """Check points and their labels.

    Parameters
    ----------
    points_xy : array-like
        (N, 2) if `ndim` is 2, (B, N, 2) if it is 3.
    point_labels : array-like
        The same shape without the last axis; 1, 0 or -1.
    ndim : int
        Number of axes of `points_xy`.

    Returns
    -------
    tuple of ndarray
        Both as floats.

    Raises
    ------
    ValueError
        If a shape or value is wrong, or an argument is missing.
    """
    shape = "(N, 2)" if ndim == 2 else "(B, N, 2)"
    if points_xy is None or point_labels is None:
        given = "points_xy" if point_labels is None else "point_labels"
        raise ValueError(f"Only {given} was passed; pass points_xy and point_labels together.")
    points = _as_floats(points_xy, "points_xy")
    labels = _as_floats(point_labels, "point_labels")
    if points.ndim != ndim or points.shape[-1] != 2:
        raise ValueError(f"points_xy has shape {points.shape}; pass {shape} in (x, y) order.")
    if labels.shape != points.shape[:-1]:
        raise ValueError(
            f"point_labels has shape {labels.shape} for points_xy of shape {points.shape}; "
            "pass one label per point."
        )
    if not np.isin(labels, (-1, 0, 1)).all():
        raise ValueError(
            f"point_labels contains {np.unique(labels).tolist()}; "
            "use 1 for foreground, 0 for background, -1 for padding."
        )
    return points, labels


def check_boxes(boxes_xyxy: Any, ndim: int, name: str) -> FloatArray:
    """Return boxes of shape (4,) if `ndim` is 1, (B, 4) if it is 2, else raise ValueError."""
    boxes = _as_floats(boxes_xyxy, name)
    if boxes.ndim != ndim or boxes.shape[-1] != 4:
        shape = "(4,)" if ndim == 1 else "(B, 4)"
        raise ValueError(f"{name} has shape {boxes.shape}; pass {shape}, as x0, y0, x1, y1.")
    return boxes


def check_mask_input(mask_input: Any, size: int) -> npt.NDArray[np.float32]:
    """Return a mask prompt as (1, 1, size, size) float32, else raise ValueError."""
    mask = _as_floats(mask_input, "mask_input")
    if mask.shape not in ((size, size), (1, size, size)):
        raise ValueError(
            f"mask_input has shape {mask.shape}; pass ({size}, {size}) or (1, {size}, {size}), "
            "as one of an earlier prediction's low_res_logits."
        )
    return mask.astype(np.float32).reshape(1, 1, size, size)


def _as_floats(value: Any, name: str) -> FloatArray:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:  # the last for huge integers
        raise ValueError(f"{name} is not an array of numbers ({error}).") from error
    if not np.isfinite(array).all():
        raise ValueError(f"{name} of shape {array.shape} contains NaN or infinity; remove them.")
    return array
