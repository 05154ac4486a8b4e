"""Compare the overlaps of clean outlines with those of the published ones.

    python benchmarks/cleaning.py [--objects N]

One click on each nucleus of benchmarks/small_objects.py, each coin of scikit-image and each
synthetic cell (benchmarks/cells.py); prints the mean intersection over union of the preselected
mask with the true one, by the strength of cleaning.

With --accepted, each mask is accepted while earlier objects keep their pixels, and what is written
of it counts; prints, too, how many loose pixels there are beside the largest pieces, and how many
in lines of single pixels along other objects.
"""

import argparse
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from annotator import coins, deepest, mask_of
from cells import KINDS, cells
from nuclei_truth import TRUTH
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data
from small_objects import VIEW_PX

from napari_sam.engine.cleaning import CLEAN_STRENGTH
from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts, TargetError

STRENGTHS: Final = (0, 0.25, 0.5, 0.75, 1)
TIMEOUT_S: Final = 600


def true_objects(labels: NDArray[Any], count: int) -> Iterator[NDArray[np.bool_]]:
    """Yield the masks of the largest objects."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    for label_id in np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)][:count]:
        yield labels == label_id


def click(session: AnnotationSession, true: NDArray[np.bool_], view_px: float | None) -> None:
    """Click where an object is deepest, with so much of the image around it in view."""
    x, y = deepest(true)
    if view_px is not None:
        half = view_px / 2
        session.look_at((x - half, y - half, x + half, y + half))
    session.set_prompts(Prompts(((x, y),), (1,)))
    session.wait_until_idle(TIMEOUT_S)


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
    rows = []
    for true in true_objects(labels, count):
        click(session, true, view_px)
        rows.append(overlaps(session, true))
        session.object_in_progress.clear()
    session.close()
    return np.array(rows)


def accepted(
    image: NDArray[Any], labels: NDArray[Any], count: int, view_px: float | None, strength: float
) -> tuple[float, int, int]:
    """Accept a mask per object; return mean overlap, loose pixels and pixels of fringes."""
    written = np.zeros(labels.shape, np.uint16)
    session = AnnotationSession()
    session.set_image(ImagePlane(image, is_rgb=image.ndim == 3))
    session.set_target(ArrayPlane(written))
    session.object_in_progress.set_clean(strength)
    session.wait_until_idle(TIMEOUT_S)
    ious, loose, fringes = [], 0, 0
    for true in true_objects(labels, count):
        click(session, true, view_px)
        taken = written > 0
        try:
            edit = session.accept()
        except TargetError:  # covered
            session.object_in_progress.clear()
            ious.append(0.0)
            continue
        assert edit is not None
        mask = written == edit.label_id
        ious.append(float((mask & true).sum() / (mask | true).sum()))
        pieces, _ = ndimage.label(mask)
        areas = np.bincount(pieces.ravel())[1:]
        loose += int(areas.sum() - areas.max())
        beside = ndimage.binary_dilation(taken, np.ones((3, 3)))
        fringes += int((mask & beside & ~ndimage.binary_opening(mask, np.ones((2, 2)))).sum())
    session.close()
    return float(np.mean(ious)), loose, fringes


def main() -> None:
    """Run it and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=30, help="at most, of each image")
    parser.add_argument("--accepted", action="store_true", help="one after the other, cut")
    options = parser.parse_args()
    nuclei = data.immunohistochemistry(), np.load(TRUTH)["labels"]
    images = {"nuclei": nuclei, "coins": coins()}
    images |= {name: cells(kind) for name, kind in KINDS.items()}
    if options.accepted:
        print(f"{'image':14}{'clean':>6}{'overlap':>9}{'loose':>7}{'fringes':>9}")
        for name, (image, labels) in images.items():
            view_px = VIEW_PX if name == "nuclei" else None
            for strength in (0, CLEAN_STRENGTH):
                iou, *n_px = accepted(image, labels, options.objects, view_px, strength)
                print(f"{name:14}{strength:6}{iou:9.4f}{n_px[0]:7}{n_px[1]:9}", flush=True)
        return
    print(f"{'image':14}{'objects':>8}" + "".join(f"{strength:>8}" for strength in STRENGTHS))
    for name, (image, labels) in images.items():
        rows = measure(image, labels, options.objects, VIEW_PX if name == "nuclei" else None)
        means = "".join(f"{mean:8.4f}" for mean in rows.mean(axis=0))
        print(f"{name:14}{len(rows):8}{means}", flush=True)


if __name__ == "__main__":
    main()
