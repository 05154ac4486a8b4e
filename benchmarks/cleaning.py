"""Compare the overlaps of clean outlines with those of the published ones.

    python benchmarks/cleaning.py [--objects N]

One click on each nucleus of benchmarks/small_objects.py, each coin of scikit-image and each
synthetic cell (benchmarks/cells.py); prints the mean intersection over union of the preselected
mask with the true one, by the strength of cleaning.
"""

import argparse
from typing import Any, Final

import numpy as np
from annotator import coins, deepest, mask_of
from cells import KINDS, cells
from nuclei_truth import TRUTH
from numpy.typing import NDArray
from skimage import data
from small_objects import VIEW_PX

from napari_sam.session import AnnotationSession, ImagePlane, Prompts

STRENGTHS: Final = (0, 0.25, 0.5, 0.75, 1)
TIMEOUT_S: Final = 600


def overlaps(session: AnnotationSession, true: NDArray[np.bool_]) -> list[float]:
    """Return the overlap of the shown mask with an object, by strength."""
    values = []
    for strength in STRENGTHS:
        session.object_in_progress.set_clean(strength)
        candidates, chosen = session.state.candidates, session.state.chosen
        assert candidates is not None
        assert chosen is not None
        mask = mask_of(candidates, chosen, true.shape)
        values.append(float((mask & true).sum() / (mask | true).sum()))
    return values


def measure(
    image: NDArray[Any], labels: NDArray[Any], count: int, view_px: float | None
) -> NDArray[np.float64]:
    """Click on the largest objects; return the overlaps by object and strength."""
    session = AnnotationSession()
    session.set_image(ImagePlane(image, is_rgb=image.ndim == 3))
    session.wait_until_idle(TIMEOUT_S)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    rows = []
    for label_id in np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)][:count]:
        x, y = deepest(labels == label_id)
        if view_px is not None:
            half = view_px / 2
            session.look_at((x - half, y - half, x + half, y + half))
        session.set_prompts(Prompts(((x, y),), (1,)))
        session.wait_until_idle(TIMEOUT_S)
        rows.append(overlaps(session, labels == label_id))
        session.object_in_progress.clear()
    session.close()
    return np.array(rows)


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=30, help="at most, of each image")
    options = parser.parse_args()
    nuclei = data.immunohistochemistry(), np.load(TRUTH)["labels"]
    images = {"nuclei": nuclei, "coins": coins()}
    images |= {name: cells(kind) for name, kind in KINDS.items()}
    print(f"{'image':14}{'objects':>8}" + "".join(f"{strength:>8}" for strength in STRENGTHS))
    for name, (image, labels) in images.items():
        rows = measure(image, labels, options.objects, VIEW_PX if name == "nuclei" else None)
        means = "".join(f"{mean:8.4f}" for mean in rows.mean(axis=0))
        print(f"{name:14}{len(rows):8}{means}", flush=True)


if __name__ == "__main__":
    main()
