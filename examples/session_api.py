"""Annotate from a script as in the window: clicks, classes, undo, and a COCO file in the end.

python examples/session_api.py coins.json
"""

import argparse
from pathlib import Path

import numpy as np
from skimage import data

from napari_sam.formats import Annotations, ImageInfo, objects_from_labels, write_coco
from napari_sam.session import AnnotationSession, ArrayPlane, ImagePlane, Prompts

TIMEOUT_S = 120
COINS_XY = ((104, 68), (211, 192), (157, 132))


def annotate(image: np.ndarray) -> Annotations:
    """Click on three coins, accept a mask for each, and take back the last one."""
    labels = np.zeros(image.shape[:2], np.uint16)
    target = ArrayPlane(labels)
    session = AnnotationSession()
    session.set_image(ImagePlane(image))
    session.set_target(target)
    session.classes.add("coin")  # of the next objects
    for place in COINS_XY:
        session.set_prompts(Prompts(points_xy=(place,), point_labels=(1,)))
        session.wait_until_idle(TIMEOUT_S)
        print(place, np.round(session.state.candidates.iou_predictions, 2))
        session.accept()
        session.wait_until_idle(TIMEOUT_S)
    session.undo()
    session.wait_until_idle(TIMEOUT_S)
    records = list(target.labels.registry)
    session.close()
    objects = objects_from_labels(
        labels,
        {record.label_id: record.class_name for record in records},
        {record.label_id: record.score for record in records},
    )
    return Annotations(ImageInfo(labels.shape, "coins.png"), objects)


def main(arguments: list[str] | None = None) -> None:
    """Annotate the coins, and write what there is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("coco_file", type=Path)
    annotations = annotate(data.coins())
    write_coco(parser.parse_args(arguments).coco_file, annotations)
    for found in annotations.objects:
        print(f"object {found.label_id}: {found.class_name}, {found.area_px} pixels")


if __name__ == "__main__":
    main()
