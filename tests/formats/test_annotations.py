import numpy as np
import pytest

from napari_sam.formats import (
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    ObjectClass,
    labels_from_objects,
    objects_from_labels,
    plane_name,
)
from napari_sam.formats.image import axis_letters
from tests.formats.cases import random_objects

DOT = np.ones((1, 1), bool)


def labels_of(shape, dtype=np.int32):
    rng = np.random.default_rng(1)
    return rng.choice([0, 0, 3, 9, 200], shape).astype(dtype)


@pytest.mark.parametrize("shape", [(7, 9), (3, 7, 9), (2, 3, 7, 9)])
def test_labels_become_objects_and_labels_again(shape):
    labels = labels_of(shape)
    objects = objects_from_labels(labels)
    assert {obj.slice_index for obj in objects} <= set(np.ndindex(shape[:-2]))
    again = labels_from_objects(Annotations(ImageInfo(shape), objects))
    np.testing.assert_array_equal(again, labels)
    assert again.dtype == np.uint8


def test_objects_know_class_and_score_by_their_number():
    labels = np.array([[0, 4_000_000_000, 2]], np.uint32)
    first, second = objects_from_labels(labels, {2: "nucleus"}, {4_000_000_000: 0.5})
    assert (first.label_id, first.class_name, first.score) == (2, "nucleus", None)
    assert (second.label_id, second.class_name, second.score) == (4_000_000_000, None, 0.5)
    assert (second.top, second.left, second.area_px) == (0, 1, 1)


def test_no_labels_are_no_objects():
    assert objects_from_labels(np.zeros((4, 5), int)) == ()
    empty = labels_from_objects(Annotations(ImageInfo((4, 5)), ()))
    assert empty.shape == (4, 5)
    assert not empty.any()


@pytest.mark.parametrize("labels", [np.zeros(3, int), np.zeros((3, 3)), np.full((3, 3), -1)])
def test_only_images_of_label_ids_have_objects(labels):
    with pytest.raises(FileError, match="Labels must"):
        objects_from_labels(labels)


@pytest.mark.parametrize(
    ("label_id", "dtype"), [(255, "uint8"), (256, "uint16"), (65_536, "uint32")]
)
def test_labels_have_the_smallest_type_that_is_enough(label_id, dtype):
    objects = [ExportObject(label_id, DOT, 1, 2)]
    labels = labels_from_objects(Annotations(ImageInfo((3, 4)), objects))
    assert labels.dtype == dtype
    assert labels[1, 2] == label_id


def test_more_than_32_bits_are_refused():
    with pytest.raises(FileError, match="renumber the objects"):
        labels_from_objects(Annotations(ImageInfo((3, 4)), [ExportObject(2**32, DOT, 1, 2)]))


def test_overlaps_are_refused_or_the_last_object_wins():
    pair = np.ones((1, 2), bool)
    both = Annotations(
        ImageInfo((1, 3)), [ExportObject(1, pair, 0, 0), ExportObject(2, pair, 0, 1)]
    )
    with pytest.raises(FileError, match="Object 2 overlaps object 1"):
        labels_from_objects(both)
    assert labels_from_objects(both, overlap="last_wins").tolist() == [[1, 2, 2]]


@pytest.mark.parametrize(
    "place", [(0, 0, ()), (3, 0, (0,)), (0, 4, (0,)), (-1, 0, (0,)), (0, 0, (2,))]
)
def test_objects_must_be_inside_the_image(place):
    top, left, slice_index = place
    with pytest.raises(FileError, match="outside"):
        Annotations(ImageInfo((2, 3, 4)), [ExportObject(1, DOT, top, left, slice_index)])


@pytest.mark.parametrize(
    ("names", "units", "axes"),
    [
        (("time",), ("pixel",), "T"),
        (("Frames",), ("pixel",), "T"),
        (("time (min)",), ("pixel",), "T"),
        (("Channel",), ("pixel",), "C"),
        (("slice",), ("pixel",), "Z"),
        (("Depth [um]",), ("pixel",), "Z"),
        (("q",), ("pixel",), "Q"),
        (("position",), ("pixel",), "Z"),
        (("axis -3",), ("second",), "T"),
        (("z",), ("second",), "T"),
        (("axis -4", "axis -3"), ("pixel", "pixel"), "TZ"),
        (("axis -4", "axis -3"), ("micrometer", "micrometer"), "TZ"),
        (("axis -4", "axis -3"), ("micrometer", "second"), "ZT"),
        (("channels", "axis -3"), ("pixel", "pixel"), "CZ"),
        (("axis -4", "plane"), ("pixel", "pixel"), "TZ"),
        (("t", "z"), ("second", "second"), "TZ"),
        (("slice", "z"), ("pixel", "pixel"), "TZ"),
        (("axis -5", "axis -4", "time"), ("pixel",) * 3, "CZT"),
        (("t", "c", "z"), ("second", "pixel", "nanometer"), "TCZ"),
        (("a", "b", "c", "d"), ("pixel",) * 4, "ABCD"),
        (("", "", "", ""), ("pixel",) * 4, None),
    ],
)
def test_axes_keep_their_meaning_by_name_and_by_unit(names, units, axes):
    letters = axis_letters((*names, "y", "x"), (*units, "pixel", "pixel"))
    assert letters == (f"{axes}YX" if axes else "")


@pytest.mark.parametrize(
    ("axes", "units", "expected"),
    [
        ("", ("s", "um", "um"), ("TYX", ("second", "micrometer", "micrometer"))),
        ("ZYX", ("s", "um", "um"), ("ZYX", ("pixel", "micrometer", "micrometer"))),
        ("TYX", ("um", "um", "um"), ("TYX", ("pixel", "micrometer", "micrometer"))),
        ("TYX", ("min", "px", "px"), ("TYX", ("minute", "pixel", "pixel"))),
    ],
)
def test_no_depth_is_a_time_and_no_time_a_length(axes, units, expected):
    image = ImageInfo((2, 3, 4), axes=axes, units=units)
    assert (image.axes, image.units) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"label_id": 0},
        {"mask": np.zeros((2, 2), bool)},
        {"mask": np.ones((2, 2), np.uint8)},
        {"mask": np.ones(2, bool)},
        {"score": float("nan")},
    ],
)
def test_objects_are_checked(wrong):
    with pytest.raises(FileError):
        ExportObject(**{"label_id": 1, "mask": DOT, "top": 0, "left": 0} | wrong)


@pytest.mark.parametrize("name", ["", " a", "a\nb", "a\u2028b", "a\ud83d"])
def test_names_of_classes_stay_on_their_line_and_can_be_written(name):
    with pytest.raises(FileError, match="is not a class name"):
        ObjectClass.from_rgb(name, (0, 0, 0))


def test_classes_that_are_only_named_get_colors():
    objects = [ExportObject(1, DOT, 0, 0, class_name=name) for name in ("b", "a", "b")]
    known = ObjectClass.from_rgb("a", (1, 2, 3))
    first, second = Annotations(ImageInfo((3, 3)), objects, [known]).classes
    assert first == known
    assert second.name == "b"
    with pytest.raises(FileError, match="same name"):
        Annotations(ImageInfo((3, 3)), objects, [known, known])


def test_images_fill_in_what_is_not_said():
    assert ImageInfo((2, 3, 4)) == ImageInfo(
        (2, 3, 4), "image", "ZYX", (1, 1, 1), ("pixel", "px", "dimensionless")
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"axes": "XY"},
        {"axes": "ZYX"},
        {"shape": (0, 4)},
        {"shape": (3, 3, 3, 3, 3, 3)},
        {"pixel_size": (1,)},
        {"pixel_size": (0, 1)},
        {"units": ("um", "furlong")},
    ],
)
def test_images_are_checked(wrong):
    with pytest.raises(FileError):
        ImageInfo(**{"shape": (3, 4)} | wrong)


def test_one_slice_is_an_image_of_its_own():
    image = ImageInfo((2, 5, 6, 7), "a.b.tif", pixel_size=(9, 3, 2, 1))
    stack = Annotations(image, random_objects(20, image.shape, seed=0))
    place = stack.objects[4].slice_index
    plane = stack.plane(place)
    assert plane.image.shape == (6, 7)
    assert plane.image.pixel_size == (2, 1)
    assert plane.image.name == f"a.b_t{place[0]:04d}_z{place[1]:04d}.tif"
    assert plane.classes == stack.classes
    assert [obj.label_id for obj in plane.objects] == [
        obj.label_id for obj in stack.objects if obj.slice_index == place
    ]
    assert plane_name(ImageInfo((2, 3, 3), "stack"), (1,)) == "stack_z0001"


def test_cropped_objects_stay_where_they_are():
    mask = np.zeros((5, 6), bool)
    mask[2:4, 1] = True
    obj = ExportObject(1, mask, 10, 20).cropped()
    assert (obj.top, obj.left, obj.mask.shape) == (12, 21, (2, 1))
