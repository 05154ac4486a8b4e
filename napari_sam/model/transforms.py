"""The geometry between an image and the square input of the model.

Source: A. Kirillov et al., "Segment Anything" (ICCV 2023, arXiv:2304.02643), appendix A: images
are scaled so that their longest side fits, then padded at the bottom and the right.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_sam.engine.spec import Size


def resize_image(image: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]:
    """Resize an image as for the training of SAM.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8.
    size : tuple of int
        New (H, W).

    Returns
    -------
    ndarray
        (*size, 3) uint8, bilinear and antialiased, rounded to uint8: any other resampling changes
        the embedding by a percent.
    """
    resized = Image.fromarray(np.ascontiguousarray(image)).resize(
        (size[1], size[0]), Image.Resampling.BILINEAR
    )
    return np.array(resized)


def scale_points(
    points_xy: npt.NDArray[np.floating], original_size: Size, input_size: Size
) -> npt.NDArray[np.float32]:
    """Scale points (..., 2), (x, y), from pixels of the image to pixels of the input."""
    factors = [new / old for new, old in zip(input_size[::-1], original_size[::-1], strict=True)]
    return (points_xy.astype(np.float64) * factors).astype(np.float32)


def scale_boxes(
    boxes_xyxy: npt.NDArray[np.floating], original_size: Size, input_size: Size
) -> npt.NDArray[np.float32]:
    """Scale boxes (..., 4), (x0, y0, x1, y1), from pixels of the image to pixels of the input.

    The corners may come in any order; the top-left one is returned first.
    """
    corners = boxes_xyxy.reshape(*boxes_xyxy.shape[:-1], 2, 2)
    ordered = np.stack([corners.min(axis=-2), corners.max(axis=-2)], axis=-2)
    return scale_points(ordered, original_size, input_size).reshape(boxes_xyxy.shape)
