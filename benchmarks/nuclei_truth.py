"""Make the outlines of thirty nuclei that benchmarks/small_objects.py and tests compare masks with.

    python benchmarks/nuclei_truth.py [--sheet FOLDER]

The image is scikit-image's `immunohistochemistry`: blue nuclei of some 100 pixels in stroma, beside
brown glands. The density of its blue stain is thresholded around each pixel; of the pieces that
result, thirty were chosen by eye that are one clear nucleus each, and every one is cut again where
the density is half way between that of the nucleus and that around it. `--sheet` draws each outline
on the enlarged image, beside the image alone, as it was checked by eye, one by one. Writes
tests/data/nuclei_truth.npz: `labels` (512, 512) uint8, 1 to 30, 0 elsewhere.
"""

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage import color, data, filters, measure, morphology

TRUTH: Final = Path(__file__).parents[1] / "tests" / "data" / "nuclei_truth.npz"
NUCLEI_XY: Final = (
    *((305, 240), (181, 393), (172, 425), (173, 267), (187, 416), (334, 271), (445, 37)),
    *((472, 163), (491, 141), (222, 355), (229, 308), (476, 200), (226, 378), (178, 406)),
    *((380, 322), (122, 277), (181, 464), (192, 326), (282, 228), (336, 294), (240, 321)),
    *((199, 267), (385, 480), (219, 396), (104, 230), (205, 335), (274, 240), (408, 429)),
    *((464, 23), (266, 219)),
)
"""A place on each of them."""
_SMOOTHING_PX: Final = 0.7
_NEIGHBOURHOOD_PX: Final = 51
_LEAST_CONTRAST, _LEAST_DENSITY = 1.15, 0.022
_RING_PX: Final = (2, 5)
"""Where what is around a nucleus begins and ends, from its border on."""
_CROP_PX, _ENLARGED, _PER_ROW = 48, 6, 5


def nuclei() -> NDArray[np.uint8]:
    """Return the labels of the nuclei, 1 to 30."""
    density = filters.gaussian(color.rgb2hed(data.immunohistochemistry())[..., 0], _SMOOTHING_PX)
    local = filters.threshold_local(density, _NEIGHBOURHOOD_PX)
    dense = density > np.maximum(_LEAST_CONTRAST * local, _LEAST_DENSITY)
    dense = ndimage.binary_fill_holes(morphology.opening(dense, morphology.disk(1)))
    pieces = measure.label(dense, connectivity=1)
    labels = np.zeros(pieces.shape, np.uint8)
    for label_id, (x, y) in enumerate(NUCLEI_XY, 1):
        near = ndimage.distance_transform_edt(pieces != pieces[y, x])
        around = (near >= _RING_PX[0]) & (near <= _RING_PX[1]) & ~dense
        half = (np.median(density[around]) + np.percentile(density[near == 0], 75)) / 2
        inside = measure.label((density > half) & (near <= 1), connectivity=1)
        labels[ndimage.binary_fill_holes(inside == inside[y, x])] = label_id
    return labels


def sheet(labels: NDArray[Any]) -> Image.Image:
    """Draw each outline on the enlarged image, above the image alone."""
    side, count = _CROP_PX * _ENLARGED, int(labels.max())
    drawn = Image.new("RGB", (_PER_ROW * side, -(-count // _PER_ROW) * 2 * side))
    for label_id in range(1, count + 1):
        mask = labels == label_id
        rows, columns = np.nonzero(mask)
        top, left = (
            int(np.clip(places.mean() - _CROP_PX / 2, 0, length - _CROP_PX))
            for places, length in zip((rows, columns), labels.shape, strict=True)
        )
        crop = data.immunohistochemistry()[top : top + _CROP_PX, left : left + _CROP_PX]
        plain = Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC)
        outlined = plain.copy()
        draw = ImageDraw.Draw(outlined)
        for line in measure.find_contours(mask.astype(float), 0.5):
            places = (line - (top - 0.5, left - 0.5)) * _ENLARGED
            draw.line([(x, y) for y, x in places], fill=(255, 0, 0), width=2)
        draw.text((4, 4), str(label_id), fill=(0, 0, 0))
        row, column = divmod(label_id - 1, _PER_ROW)
        drawn.paste(outlined, (column * side, 2 * row * side))
        drawn.paste(plain, (column * side, (2 * row + 1) * side))
    return drawn


def main() -> None:
    """Write the truth, and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheet", type=Path, help="folder for the drawing")
    options = parser.parse_args()
    labels = nuclei()
    np.savez_compressed(TRUTH, labels=labels)
    print(f"{labels.max()} nuclei of {np.bincount(labels.ravel())[1:].min()} px and more: {TRUTH}")
    if options.sheet is not None:
        sheet(labels).save(options.sheet / "nuclei_truth.png")


if __name__ == "__main__":
    main()
