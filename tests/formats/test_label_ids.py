"""Files of ours that somebody has changed in another program: no two objects become one."""

import json

import numpy as np
import pytest
from roifile import roiread, roiwrite

from napari_sam.formats import Annotations, ExportObject, ImageInfo, find_format, read_objects
from napari_sam.session.annotations import records_of
from tests.formats.cases import assert_same, same_object

KEYS = ("geojson", "coco", "coco-polygons", "rois")
SQUARE = np.ones((5, 5), bool)


def write(tmp_path, key, annotations):
    chosen = find_format(key)
    (path,) = chosen.write(tmp_path / f"a{chosen.suffixes[0]}", annotations)
    return path


def rearranged(path, kept, *, without_id=()):
    """Keep objects by their places, some of them without what names their label_id."""
    if path.suffix == ".zip":
        rois = [roiread(path)[at] for at in kept]
        for at in without_id:
            rois[at].props = ""
        path.unlink()  # roifile only adds
        roiwrite(path, rois, name=[str(at) for at in range(len(rois))])
        return
    key = "features" if path.suffix == ".geojson" else "annotations"
    content = json.loads(path.read_text())
    entries = [json.loads(json.dumps(content[key][at])) for at in kept]
    for at in without_id:
        entries[at].pop("label_id", None)
        entries[at].get("properties", {}).pop("measurements", None)
    content[key] = entries
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("key", KEYS)
def test_new_objects_do_not_get_the_number_of_another(tmp_path, key):
    objects = [ExportObject(at, SQUARE, 10 * at, 10) for at in range(1, 6)]
    image = ImageInfo((100, 100), "a")
    path = write(tmp_path, key, Annotations(image, objects))
    rearranged(path, [2, 3, 4, 0], without_id=[3])  # which comes in the place of number 4
    read = read_objects(path, image)
    assert [obj.label_id for obj in read.objects[:3]] == [3, 4, 5]
    assert read.objects[3].label_id > 5
    assert same_object(read.objects[3], objects[0])
    assert len(records_of(read, image.shape)) == 4


@pytest.mark.parametrize("key", KEYS)
def test_a_copy_in_the_same_slice_is_an_object_of_its_own(tmp_path, key):
    image = ImageInfo((3, 30, 30), "a")
    parts = [ExportObject(7, SQUARE, 10, 10, (at,)) for at in range(3)]
    path = write(tmp_path, key, Annotations(image, parts))
    assert_same(read_objects(path, image), Annotations(image, parts))
    rearranged(path, [0, 1, 1, 2])
    first, second = records_of(read_objects(path, image), image.shape)
    assert (first.label_id, [obj.start[0] for obj in first.masks]) == (7, [0, 1, 2])
    assert second.label_id > 7
    assert [obj.start[0] for obj in second.masks] == [1]
