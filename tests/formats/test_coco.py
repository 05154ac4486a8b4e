import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from napari_sam.engine.masks import MaskCrop, run_counts
from napari_sam.formats import (
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    read_coco,
    read_objects,
    read_prompts,
    write_coco,
)
from napari_sam.formats.coco_polygons import fill_polygons
from napari_sam.formats.coco_rle import counts_of_text, mask_of_counts
from tests.formats.cases import NAMES, RING, assert_same, random_objects

FORMS = ("rle", "polygon")

# pycocotools does not know the copy keyword that numpy 2 asks for; only its decoding is concerned.
decodes = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def placed(obj, shape):
    image = np.zeros(shape, np.uint8)
    image[obj.region][obj.mask] = 1
    return image


@decodes
@pytest.mark.parametrize("form", FORMS)
def test_pycocotools_loads_the_file_and_decodes_the_same_masks(tmp_path, annotations, form):
    more = random_objects(60, (17, 19), seed=5)
    annotations = Annotations(annotations.image, [*annotations.objects, *more], annotations.classes)
    write_coco(tmp_path / "a.json", annotations, form)
    coco = COCO(tmp_path / "a.json")
    assert coco.loadImgs([1])[0]["file_name"] == "細胞.tif"
    assert coco.getAnnIds(imgIds=[1]) == list(range(1, len(annotations.objects) + 1))
    for number, obj in enumerate(annotations.objects, start=1):
        (entry,) = coco.loadAnns([number])
        expected = placed(obj, (17, 19))
        np.testing.assert_array_equal(coco.annToMask(entry), expected)
        encoded = coco_mask.encode(np.asfortranarray(expected))
        assert entry["area"] == coco_mask.area(encoded)
        assert entry["bbox"] == coco_mask.toBbox(encoded).tolist()
        assert coco.loadCats([entry["category_id"]])[0]["name"] == obj.class_name
        if form == "rle":
            assert entry["segmentation"]["counts"] == encoded["counts"].decode()


@pytest.mark.parametrize("form", FORMS)
def test_annotations_come_back(tmp_path, annotations, form):
    write_coco(tmp_path / "a.json", annotations, form)
    (read,) = read_coco(tmp_path / "a.json")
    assert_same(read, annotations)
    assert read.image == annotations.image
    assert read.classes == annotations.classes


@pytest.mark.parametrize("form", FORMS)
def test_each_slice_of_a_stack_is_an_image(tmp_path, annotations, stack, form):
    write_coco(tmp_path / "a.json", [annotations, stack, stack], form)
    coco = COCO(tmp_path / "a.json")
    assert len(coco.imgs) == 1 + 2 * 6
    assert coco.imgs[3]["file_name"] == "stack.ome_t0000_z0001.tif"
    assert len(coco.cats) == len(NAMES)
    first, second, third = read_coco(tmp_path / "a.json")
    assert_same(first, annotations)
    assert_same(second, stack, details=False)
    assert_same(third, stack, details=False)
    assert second.image == stack.image


def test_names_of_categories_are_taken_as_they_are_meant(tmp_path):
    categories = ["cell ", "", None, "mitotic\ncell", "cell"]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
        "categories": [{"id": n, "name": name} for n, name in enumerate(categories)],
        "annotations": [
            {"image_id": 1, "category_id": n, "bbox": [n, 0, 1, 1]}
            | {"segmentation": {"counts": [4 * n, 1, 23 - 4 * n], "size": [4, 6]}}
            for n in range(5)
        ],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    meant = ["cell", None, None, "mitotic cell", "cell"]
    (read,) = read_coco(path)
    assert [obj.class_name for obj in read.objects] == meant
    assert [entry.name for entry in read.classes] == ["cell", "mitotic cell"]
    assert [obj.class_name for obj in read_prompts(path, read.image)] == meant


def test_objects_may_have_no_class(tmp_path):
    dot = np.ones((1, 1), bool)
    unclassified = ExportObject(1, dot, 0, 0)
    some = Annotations(ImageInfo((3, 3)), [unclassified, ExportObject(2, dot, 1, 1, (), "cell")])
    write_coco(tmp_path / "a.json", some)
    assert [entry["name"] for entry in COCO(tmp_path / "a.json").cats.values()] == [
        "cell",
        "object",
    ]
    assert_same(read_coco(tmp_path / "a.json")[0], some)
    named = Annotations(ImageInfo((3, 3)), [unclassified, ExportObject(2, dot, 1, 1, (), "object")])
    with pytest.raises(FileError, match="rename the class"):
        write_coco(tmp_path / "b.json", named)
    assert not (tmp_path / "b.json").exists()


def test_files_of_others_are_read(tmp_path):
    square = [1, 1, 3, 1, 3, 3, 1, 3]
    entries = [
        {"segmentation": [square, [5, 5]]},
        {"segmentation": {"size": [4, 6], "counts": [5, 2, 17]}, "iscrowd": 1},
        {"segmentation": {"size": [4, 6], "counts": "52a0"}},
        {"segmentation": {"size": [4, 6], "counts": [24]}},
        {"segmentation": []},
    ]
    content = {
        "images": [{"id": 7, "file_name": "a.png", "height": 4, "width": 6}],
        "categories": [{"id": 3, "name": "cell"}],
        "annotations": [
            {"id": at, "image_id": 7, "category_id": 3, **entry} for at, entry in enumerate(entries)
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    (read,) = read_coco(tmp_path / "a.json")
    assert read.image == ImageInfo((4, 6), "a.png")
    assert [(obj.top, obj.left, obj.mask.shape) for obj in read.objects] == [
        (1, 1, (2, 2)),
        (1, 1, (2, 1)),
        (1, 1, (2, 1)),
    ]
    assert [obj.label_id for obj in read.objects] == [1, 2, 3]
    content["annotations"][0]["label_id"] = 2**32 - 1  # the others cannot come after it
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert [obj.label_id for obj in read_coco(tmp_path / "a.json")[0].objects] == [2**32 - 1, 1, 2]
    assert {obj.class_name for obj in read.objects} == {"cell"}


@pytest.mark.parametrize("source", ["flickr", {"name": "flickr"}, None, 3, {"shape": [1]}])
def test_members_of_others_are_not_taken_for_ours(tmp_path, source):
    square = {"image_id": 1, "category_id": 2, "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6, "source": source}],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "cell"}],
        "annotations": [
            square,
            {**square, "category_id": 1},
            {"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]},
            {**square, "segmentation": None},
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    (read,) = read_coco(tmp_path / "a.json")
    assert read.image == ImageInfo((4, 6), "a.png")
    assert [obj.class_name for obj in read.objects] == ["cell", "cell"]
    assert [entry.name for entry in read.classes] == ["cell"]
    assert read.left_out.counts == {"annotation without a mask": 2}


def test_runs_of_another_image_are_refused(tmp_path):
    runs = {"size": [6, 4], "counts": [5, 2, 17]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 6}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"image_id": 1, "category_id": 1, "segmentation": runs}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(FileError, match=r"annotation 1: .*\[6, 4\], not \[4, 6\]"):
        read_coco(tmp_path / "a.json")


def read_polygon(tmp_path, *corners, shape=(64, 48)):
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": shape[0], "width": shape[1]}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"image_id": 1, "category_id": 1, "segmentation": [corners]}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    (read,) = read_coco(tmp_path / "a.json")
    image = np.zeros(shape, np.uint8)
    for obj in read.objects:
        image[obj.region][obj.mask] = 1
    return image


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_corners_must_be_finite(tmp_path, value):
    with pytest.raises(FileError, match=r"annotation 1: a polygon .* not finite.*: a\.json"):
        read_polygon(tmp_path, 1, 1, value, 1, 9, 9, 1, 9)


@pytest.mark.parametrize("far", [1e5, 1e9, 1e30, 1e308])
def test_corners_may_be_far_outside_the_image(tmp_path, far):
    assert not read_polygon(tmp_path, far, far, 1.5 * far, far, far, 1.5 * far).any()
    assert read_polygon(tmp_path, -far, -far, far, -far, far, far, -far, far).all()
    band = read_polygon(tmp_path, -far, 10, far, 10, far, 20, -far, 20)
    assert band[10:20].all()
    assert band.sum() == 10 * 48
    corner = read_polygon(tmp_path, 40, 10, far, 10, far, far, 40, far)
    assert corner[10:, 40:].all()
    assert corner.sum() == 54 * 8


@decodes
def test_polygons_that_reach_a_little_beyond_the_image_are_those_of_pycocotools(tmp_path):
    rng = np.random.default_rng(2)
    for _ in range(50):
        corners = (rng.random((7, 2)) * 3 - 1) * (48, 64)
        expected = coco_mask.decode(coco_mask.frPyObjects([corners.ravel().tolist()], 64, 48))
        found = read_polygon(tmp_path, *corners.ravel().tolist())
        np.testing.assert_array_equal(found, expected[..., 0])


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", "no json", '{"images": [{"id": 1}], "annotations": []}'],
)
def test_what_is_not_coco_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FileError):
        read_coco(tmp_path / "a.json")


@decodes
def test_polygons_are_filled_as_by_pycocotools():
    rng = np.random.default_rng(4)
    for number in range(400):
        height, width = (int(side) for side in rng.integers(1, 60, 2))
        polygons = []
        for _ in range(rng.integers(1, 4)):
            corners = rng.random((rng.integers(3, 12), 2)) * (width, height) * 1.4
            corners -= rng.integers(0, 9, 2)
            corners = np.clip(corners, (-width, -height), (2 * width, 2 * height))
            # Whole numbers, halves, tenths, and any.
            corners = [np.round(corners * step) / step for step in (1, 2, 10, 2**20)][number % 4]
            polygons.append(corners.ravel().tolist())
        encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        crop = fill_polygons(polygons, (height, width))
        filled = np.zeros((height, width), np.uint8)
        if crop is not None:
            rows, columns = crop.mask.shape
            filled[crop.top : crop.top + rows, crop.left : crop.left + columns] = crop.mask
        np.testing.assert_array_equal(filled, coco_mask.decode(encoded))


def test_a_polygon_that_would_end_pycocotools_is_refused(tmp_path):
    side = 10**6
    ring = [value for at in range(1500) for value in (0, 0, side - 1, side - 1 - 2 * at)]
    with pytest.raises(FileError, match=r"annotation 1: An outline .* simplify it\): a\.json"):
        read_polygon(tmp_path, *ring, shape=(side, side))


def test_runs_are_those_of_pycocotools():
    shape = (23, 31)
    for obj in random_objects(200, shape, seed=9):
        encoded = coco_mask.encode(np.asfortranarray(placed(obj, shape)))
        counts = run_counts(MaskCrop(obj.mask, obj.top, obj.left), shape).tolist()
        assert counts_of_text(encoded["counts"].decode()).tolist() == counts
        mask, top, left = mask_of_counts(counts, shape)
        found = ExportObject(obj.label_id, mask, top, left)
        np.testing.assert_array_equal(placed(found, shape), placed(obj, shape))


def test_long_runs_are_read():
    shape = (40_000, 50_000)
    counts = [1_000_000_000, 3, 999_999_000, 2, 995]
    text = coco_mask.frPyObjects({"counts": counts, "size": shape}, *shape)["counts"].decode()
    assert counts_of_text(text).tolist() == counts


@pytest.mark.parametrize("counts", [[], [5, 2], [5, -2, 21], [30], [2**62] * 4 + [24]])
def test_runs_must_fill_the_image(counts):
    with pytest.raises(FileError, match="4 x 6"):
        mask_of_counts(counts, (4, 6))


def test_text_that_is_cut_off_is_refused():
    with pytest.raises(FileError, match="cut off"):
        counts_of_text("5R")


@pytest.mark.parametrize("text", ["o" * 50 + "0", "5\x1f0", "\x7f0"])
def test_text_that_means_no_numbers_is_refused(text):
    with pytest.raises(FileError, match=r"damaged|cut off"):
        counts_of_text(text)


def test_coco_of_a_large_image_comes_back(tmp_path):
    for side in (65_535, 65_537, 100_000):
        obj = ExportObject(1, RING, 100, side - 5)
        for form in ("rle", "polygon"):
            write_coco(tmp_path / "a.json", Annotations(ImageInfo((side, side)), [obj]), form)
            (read,) = read_objects(tmp_path / "a.json", ImageInfo((side, side))).objects
            assert (read.top, read.left) == (100, side - 5)
            np.testing.assert_array_equal(read.cropped().mask, RING)


@pytest.mark.parametrize("image_id", [1, 1.0, "1"])
def test_ids_are_the_same_as_number_and_as_text(tmp_path, image_id):
    path = tmp_path / "a.json"
    annotation = {
        "image_id": image_id,
        "category_id": image_id,
        "segmentation": [[0, 0, 3, 0, 3, 3]],
    }
    content = {
        "images": [{"id": 1, "height": 4, "width": 5}],
        "annotations": [annotation],
        "categories": [{"id": 1.0, "name": "cell"}],
    }
    path.write_text(json.dumps(content))
    (obj,) = read_coco(path)[0].objects
    assert obj.class_name == "cell"
    path.write_text(json.dumps(content | {"categories": {"1": "cell"}}))
    (annotations,) = read_coco(path)
    assert "categories are not a list" in str(annotations.left_out)
