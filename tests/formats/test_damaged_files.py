"""Whatever is wrong with a file, its reader raises the error that it documents, and soon."""

import copy
import io
import json
import os
import random
import re
import tracemalloc
import zipfile
import zlib
from base64 import b64encode
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam import formats
from napari_sam.formats import (
    FORMATS,
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    classes_of,
    imagej_rois,
    json_reader,
    labels_from_objects,
    numpy_files,
    read_imagej_rois,
    read_label_npy,
    read_label_png,
    read_label_tiff,
    read_npz,
    read_objects,
    read_prompts,
    read_yolo_classes,
    write_npz,
)
from napari_sam.formats.dicom import read_dicom
from napari_sam.formats.files import file_reader
from napari_sam.formats.outlines import fill_rings
from napari_sam.session.annotations import records_of
from napari_sam.session.classes.files import read_classes, write_classes
from tests.formats.cases import KNOT, RING
from tests.systems import needs_pipes

DATA = Path(__file__).parents[1] / "data"


def png_of(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


IMAGE = ImageInfo((17, 19), "cells.tif", pixel_size=(0.5, 0.25), units=("um", "um"))
ANNOTATIONS = Annotations(
    IMAGE,
    [
        ExportObject(1, RING, 0, 0, (), "cell", 0.5, True, "a note"),
        ExportObject(2, KNOT, 3, 12, (), "debris"),
    ],
)
STACK = Annotations(
    ImageInfo((3, 17, 19), "stack.tif", pixel_size=(2, 0.5, 0.25), units=("um",) * 3),
    [
        ExportObject(n, KNOT, 3 * z, 5, (z,), "cell", parent_id=n - 1, origin="a", confidence=0.5)
        for n, z in ((1, 0), (2, 1), (2, 2))
    ],
)
POLYGON = [1, 1, 3.3, 1, 3, 3.7, 1, 3]
RING_XY = [[1, 1], [5, 1], [5, 5], [1, 5], [1, 1]]
MASK = b64encode(png_of(np.ones((2, 3), np.uint8))).decode()
TEXTS = {
    "boxes.txt": "0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.5 0.1 0.5 0.5\n",
    "boxes.csv": "x0,y0,x1,y1,class\n1,2,5,6,a\n3,4,9,9,b\n",
    "shapes.csv": "index,shape-type,vertex-index,axis-0,axis-1\n0,path,0,1,1\n0,path,1,2,2\n",
    "data.yaml": "path: /x\nnc: 2\nnames:\n  0: a\n  1: b\n",
}
CONTENTS = {
    "others.json": {
        "images": [{"id": 1, "file_name": "cells.tif", "height": 17, "width": 19}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "segmentation": [POLYGON], "bbox": [1, 2, 3, 4]},
            {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
            | {"segmentation": {"size": [17, 19], "counts": [5, 2, 316]}},
        ],
        "categories": [{"id": 1, "name": "cell", "color": [1, 2, 3]}],
    },
    "results.json": [
        {"image_id": 1, "category_id": 1, "score": 0.9, "bbox": [1, 2, 3, 4]}
        | {"segmentation": {"size": [17, 19], "counts": [5, 2, 316]}}
    ],
    "sam.json": {
        "image": {"image_id": 1, "width": 19, "height": 17, "file_name": "cells.png"},
        "annotations": [
            {"bbox": [1, 2, 3, 4], "area": 2, "predicted_iou": 0.9, "point_coords": [[1, 2]]}
            | {"segmentation": {"size": [17, 19], "counts": [5, 2, 316]}}
        ],
    },
    "labelme.json": {
        "imagePath": "cells.png",
        "imageHeight": 17,
        "imageWidth": 19,
        "shapes": [
            {"label": "a", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon"},
            {"label": "a", "points": [[7, 1], [9, 5]], "group_id": 1, "shape_type": "rectangle"},
            {"label": "b", "points": [[7, 9], [9, 9]], "group_id": None, "shape_type": "circle"},
            {"label": "b", "points": [[1, 1], [3, 2]], "shape_type": "mask", "mask": MASK},
        ],
    },
    "others.geojson": {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [RING_XY], "plane": {"z": 0}},
                "properties": {
                    "classification": {"names": ["a", "b"], "colorRGB": -3},
                    "measurements": [{"name": "label_id", "value": 3}],
                },
            }
        ],
    },
}
VALUES = (
    *(None, True, -1, 0, 2, 1.5, 1e308, -1e308, float("nan"), float("inf"), 2**31, 2**63, 10**30),
    *("", "a", "\ud800", [], [1], [[1, 2]], {}, {"a": 1}, -(2**63)),
)


def opened(path):
    """Read a file as napari's own dialog does."""
    read = json_reader(path)
    for annotations in read() if read else ():
        labels_from_objects(annotations, "last_wins")


def records_in_stack(path):
    """Read a file as the widget imports it into a stack."""
    records_of(read_objects(path, STACK.image), STACK.image.shape)


def small_files(folder):
    """Return a small file of each format, with its readers."""
    for entry in FORMATS:
        if entry.key != "csv":
            first, *_ = entry.write(folder / f"{entry.key}{entry.suffixes[0]}", ANNOTATIONS)
            yield first, partial(read_objects, image=IMAGE)
            in_stack, *_ = entry.write(folder / f"stack_{entry.key}{entry.suffixes[0]}", STACK)
            yield in_stack, records_in_stack
            if first.suffix in (".json", ".geojson"):
                yield first, opened
            if first.suffix == ".npz":
                yield first, read_npz
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
        is_yaml = name.endswith(".yaml")
        if name.endswith(".txt"):
            yield folder / name, partial(read_objects, image=IMAGE)
        yield folder / name, read_yolo_classes if is_yaml else partial(read_prompts, image=IMAGE)
    yield folder / "data.yaml", read_classes
    for name, content in CONTENTS.items():
        (folder / name).write_text(json.dumps(content))
        yield folder / name, partial(read_objects, image=IMAGE)
        yield folder / name, partial(read_prompts, image=IMAGE)
    dicom = folder / "image.dcm"
    dicom.write_bytes((DATA / "dicom" / "part_2.dcm").read_bytes())
    yield dicom, read_dicom
    write_classes(folder / "classes.json", classes_of(["a", "b"]))
    yield folder / "classes.json", read_classes


def damaged_bytes(content, draw, is_text):
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 8])):
        at = draw.randrange(draw.choice([200, len(content) + 1])) % (len(content) + 1)
        some = draw.choice(b"0179.,-:[]{}'\"\n*&") if is_text else draw.choice([0, 1, 127, 255])
        kind = draw.randrange(4)
        if kind == 0:
            content[at : at + 1] = [some]
        elif kind == 1:
            del content[at : at + draw.choice([1, 4, 30, 10_000])]
        elif kind == 2:
            content[at:at] = bytes([some]) * draw.choice([1, 4, 20])
        else:
            content[at : at + 4] = (
                b"1e99" if is_text else draw.choice([b"\xff\xff\xff\x7f", b"\0" * 4])
            )
    return bytes(content)


def with_another_value(content, draw):
    """Return parsed JSON with one value, anywhere, replaced, removed or repeated."""
    content = copy.deepcopy(content)
    positions = []

    def look(value):
        for key in value if isinstance(value, dict) else range(len(value)):
            positions.append((value, key))
            if isinstance(value[key], dict | list):
                look(value[key])

    look(content)
    parent, key = draw.choice(positions)
    kind = draw.randrange(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
    else:
        parent[key] = copy.deepcopy(draw.choice(VALUES))
    return content


def test_damaged_files_raise_no_other_error(tmp_path):
    draw = random.Random(15)
    messages = []
    for source, read in list(small_files(tmp_path)):
        read(source)
        content, is_json = source.read_bytes(), source.suffix in (".json", ".geojson")
        is_text = is_json or source.suffix in (".txt", ".csv", ".yaml")
        damaged = source.with_name(f"damaged_{source.name}")
        for number in range(25):
            if is_json and number % 3:
                text = json.dumps(with_another_value(json.loads(content), draw))
                damaged.write_text(text)
            else:
                damaged.write_bytes(damaged_bytes(content, draw, is_text))
            try:
                read(damaged)
            except FileError as error:
                messages.append(str(error))
    assert len(messages) > 300
    assert all("damaged_" in message for message in messages)


ERRORS = (MemoryError, RecursionError, zlib.error, IndexError, AttributeError, ZeroDivisionError)


@pytest.mark.parametrize("kind", ERRORS)
def test_whatever_a_decoder_raises_becomes_our_error_and_stays_its_cause(tmp_path, kind):
    @file_reader("TEST")
    def read(path):
        raise kind

    (tmp_path / "a").write_text("")
    with pytest.raises(FileError, match=r"cannot be read as TEST \(.+\): a") as caught:
        read(tmp_path / "a")
    assert isinstance(caught.value.__cause__, kind)


def test_a_fault_of_ours_is_no_damage_of_the_file(tmp_path):
    @file_reader()
    def read(path):
        return not_defined  # noqa: F821

    (tmp_path / "a").write_text("")
    with pytest.raises(NameError):
        read(tmp_path / "a")


READERS = [name for name in dir(formats) if name.startswith("read_")]


@needs_pipes
@pytest.mark.parametrize("name", [*READERS, "json_reader"])
def test_no_reader_waits_for_a_pipe(tmp_path, name):
    read = getattr(formats, name)
    suffixes = {
        "read_prompts": ".csv",
        "read_objects": ".tif",
        "read_choices": ".tif",
        "read_tracks": ".csv",
    }
    suffix = suffixes.get(name, ".json")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    with_image = *suffixes, "read_yolo", "read_imagej_rois"
    more = [IMAGE] if name in with_image else []
    fault = "cannot be read as GEFF" if name == "read_geff" else "a pipe or a device"  # a folder
    with pytest.raises(FileError, match=fault):
        read(tmp_path / f"pipe{suffix}", *more)


# What headers declare -----------------------------------------------------------------------------


def refused_in_little_memory(read, match):
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=match):
            read()
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def npy(shape, content=b""):
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + content


@pytest.mark.parametrize("shape", [(2**20, 2**20), (2**62, 2**62), (-1, 5)])
def test_npy_is_no_larger_than_its_file(tmp_path, shape):
    (tmp_path / "a.npy").write_bytes(npy(shape, bytes(100)))
    refused_in_little_memory(lambda: read_label_npy(tmp_path / "a.npy"), "too short")
    refused_in_little_memory(lambda: read_objects(tmp_path / "a.npy", IMAGE), "too short")


@pytest.mark.parametrize("name", ["masks", "label_ids", "boxes_rc", "metadata"])
def test_npz_is_no_larger_than_its_boxes(tmp_path, name, monkeypatch):
    monkeypatch.setattr(numpy_files, "_MAX_TABLE_BYTES", 2**20)
    write_npz(tmp_path / "a.npz", ANNOTATIONS)
    with (
        zipfile.ZipFile(tmp_path / "a.npz") as source,
        zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.namelist():
            is_bomb = entry == f"{name}.npy"
            size = 2**26 if is_bomb else 0
            with target.open(entry, "w") as file:
                file.write(npy((size,)) if is_bomb else source.read(entry))
                for _ in range(size >> 22):
                    file.write(bytes(2**22))
    refused_in_little_memory(lambda: read_npz(tmp_path / "b.npz"), name)


def test_npz_of_a_larger_image_is_not_unpacked(tmp_path):
    large = ImageInfo((6000, 6000))
    whole = ExportObject(1, np.ones(large.shape, bool), 0, 0)
    write_npz(tmp_path / "a.npz", Annotations(large, [whole]))
    refused_in_little_memory(lambda: read_objects(tmp_path / "a.npz", IMAGE), r"\(6000, 6000\)")


def test_label_images_that_are_larger_than_their_image_stay_unread(tmp_path):
    labels = np.zeros((6000, 6000), np.uint8)
    Image.fromarray(labels).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", labels, compression="zlib")
    np.save(tmp_path / "a.npy", labels)
    for suffix in ("png", "tif", "npy"):
        read = partial(read_objects, tmp_path / f"a.{suffix}", IMAGE)
        refused_in_little_memory(read, r"shape \(6000, 6000\), not \(17, 19\)")


def test_what_does_not_fit_into_the_memory_is_not_read(tmp_path, monkeypatch):
    labels = np.zeros((9000, 9000), np.uint8)
    Image.fromarray(labels).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", labels, compression="zlib")
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 2**26}))
    for read, path in ((read_label_png, "a.png"), (read_label_tiff, "a.tif")):
        refused_in_little_memory(partial(read, tmp_path / path), "GiB are free")
    content = {**CONTENTS["others.json"], "annotations": []}
    content["images"] = [{"id": 1, "file_name": "a", "height": 10**6, "width": 10**6}]
    (tmp_path / "a.json").write_text(json.dumps(content))
    refused_in_little_memory(partial(opened, tmp_path / "a.json"), "GiB are free")


def test_circles_and_images_larger_than_any_number_are_refused(tmp_path):
    content = {**CONTENTS["labelme.json"]}
    content["shapes"] = [{"shape_type": "circle", "points": [[1, 1], [1.7e308, -1.7e308]]}]
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(FileError, match="not finite"):
        read_objects(tmp_path / "a.json", IMAGE)
    content = {**CONTENTS["others.json"], "annotations": []}
    content["images"] = [{"id": 1, "file_name": "a", "height": 10**400, "width": 9}]
    (tmp_path / "b.json").write_text(json.dumps(content))
    with pytest.raises(FileError, match="height and width are missing or too large"):
        opened(tmp_path / "b.json")


def test_a_strip_of_a_tiff_is_no_larger_than_its_part_of_the_image(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8), compression="zlib")
    compressor = zlib.compressobj(9)
    bomb = b"".join(compressor.compress(bytes(2**24)) for _ in range(16)) + compressor.flush()
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        tags = tiff.pages.first.tags
        places = {name: tags[name].valueoffset for name in ("StripOffsets", "StripByteCounts")}
    content = bytearray((tmp_path / "a.tif").read_bytes())
    for name, value in (("StripOffsets", len(content)), ("StripByteCounts", len(bomb))):
        content[places[name] : places[name] + 4] = value.to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(content + bomb)
    refused_in_little_memory(lambda: read_label_tiff(tmp_path / "a.tif"), "larger than declared")


def test_notes_of_other_programs_may_be_anything(tmp_path):
    labels = np.ones((17, 19), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", labels, imagej=True, metadata={"Info": "[" * 100_000})
    assert len(read_objects(tmp_path / "a.tif", IMAGE).objects) == 1


def test_rois_that_expand_to_gigabytes_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(imagej_rois, "_MAX_BYTES", 2**20)
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.roi", "w", force_zip64=True) as file,
    ):
        file.write(b"Iout")
        for _ in range(15):
            file.write(bytes(2**22))
    refused_in_little_memory(lambda: read_imagej_rois(tmp_path / "a.zip", IMAGE), "60 MiB")


def test_outlines_that_run_to_and_fro_are_refused_at_once():
    ring = np.array([(0, 0) if at % 2 else (10**6, 10**6 - at) for at in range(3000)])
    with pytest.raises(FileError, match=r"3,000 corners .* simplify it"):
        fill_rings([ring], (10**6, 10**6))


@pytest.mark.parametrize("far", [1e150, 1e300, 1.7e308])
def test_outlines_may_reach_far_beyond_the_image(far):
    crop = fill_rings([np.array([(-far, -far), (far, -far), (far, far), (-far, far)])], (7, 9))
    assert crop.mask.shape == (7, 9)
    assert crop.mask.all()


# YAML ---------------------------------------------------------------------------------------------

REFERENCES = "a0: &a0 [x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
MERGED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
)


@pytest.mark.parametrize("text", [f"{REFERENCES}names: *a29\n", f"{MERGED}names: *a29\n"])
def test_references_of_references_are_not_followed(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "a.txt").write_text("0 0 0 1 0 1 1\n")
    for read in (read_yolo_classes, read_classes):
        with pytest.raises(FileError, match="references"):
            read(tmp_path / "a.yaml")
    annotations = read_objects(tmp_path / "a.txt", IMAGE)
    assert re.search(r"1 entry left out \(.*references.*a\.yaml", str(annotations.left_out))


def test_references_to_single_values_are_followed(tmp_path):
    (tmp_path / "a.yaml").write_text("train: &images images\nval: *images\nnames: [a]\n")
    for read in (read_yolo_classes, read_classes):
        assert [entry.name for entry in read(tmp_path / "a.yaml")] == ["a"]


def test_long_yaml_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("names: [" + "a, " * 50_000 + "]\n")
    with pytest.raises(FileError, match="KiB"):
        read_yolo_classes(tmp_path / "a.yaml")
    with pytest.raises(FileError, match="another name"):
        formats.write_yolo_classes(tmp_path / "a.yaml", ())


# Pixel sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e-12, 1e12, 1e300])
def test_pixels_of_any_size_are_written_or_refused(tmp_path, size):
    image = ImageInfo((9, 9), "a", pixel_size=(size, size), units=("um", "um"))
    annotations = Annotations(image, [ExportObject(1, np.ones((2, 2), bool), 1, 1)])
    for entry in FORMATS:
        path = tmp_path / f"a{entry.suffixes[0]}"
        if entry.key == "tiff":
            with pytest.raises(FileError, match="choose OME-TIFF"):
                entry.write(path, annotations)
        else:
            entry.write(path, annotations)


def test_sizes_that_a_file_does_not_know_are_those_of_pixels(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.ones((2, 4, 5), np.uint8),
        imagej=True,
        metadata={"axes": "ZYX", "spacing": float("nan"), "unit": "um"},
    )
    _, image = read_label_tiff(tmp_path / "a.tif")
    assert image.pixel_size == (1, 1, 1)
