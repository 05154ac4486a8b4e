"""Write the objects of a file in a format of your own: here, one polygon per line, as WKT.

    python examples/custom_exporter.py labels.tif polygons.csv

Any file that *Import…* reads will do: label images, COCO, GeoJSON, ImageJ ROIs and others.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from skimage import io, measure

from napari_sam.formats import Annotations, ExportObject, ImageInfo, read_objects


def polygon_of(found: ExportObject) -> str:
    """Return the outline of the largest piece, with x and y in pixels of the image."""
    outlines = measure.find_contours(np.pad(found.mask, 1).astype(float), 0.5)
    outline = max(outlines, key=len)[:, ::-1] + (found.left - 1, found.top - 1)
    return f"POLYGON(({', '.join(f'{x:.1f} {y:.1f}' for x, y in outline)}))"


def write(path: Path, annotations: Annotations) -> None:
    """Write a table with a row for each object."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "class", "score", "wkt"])
        for found in annotations.objects:
            row = found.label_id, found.class_name or "", found.score or "", polygon_of(found)
            table.writerow(row)


def main(arguments: list[str] | None = None) -> None:
    """Convert a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("table", type=Path)
    files = parser.parse_args(arguments)
    image = ImageInfo(io.imread(files.labels).shape[:2], files.labels.name)
    write(files.table, read_objects(files.labels, image))


if __name__ == "__main__":
    main()
