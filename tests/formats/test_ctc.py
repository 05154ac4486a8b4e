"""Films of labels as the Cell Tracking Challenge has them, and the checker of the format."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_sam.formats import FileError, ImageInfo, check_ctc, read_ctc, read_objects, write_ctc
from tests.formats.films import content, film


@pytest.mark.parametrize("n_slices", [0, 3])
@pytest.mark.parametrize("by_hand", [False, True])
def test_a_film_is_read_as_it_was_written(tmp_path, n_slices, by_hand):
    annotations = film(n_slices)
    table, *images = write_ctc(tmp_path / "01", annotations, by_hand=by_hand)
    assert table.name == ("man_track.txt" if by_hand else "res_track.txt")
    assert len(images) == 6
    assert check_ctc(tmp_path / "01") == []
    read = read_objects(table, annotations.image)
    assert content(read) == content(annotations)
    assert not read.left_out


def test_lines_and_labels(tmp_path):
    table, *images = write_ctc(tmp_path / "01_RES", film())
    assert table.read_text().splitlines() == [
        "1 0 2 0",
        "2 0 1 0",
        "3 3 5 1",
        "4 3 4 1",
        "7 2 3 0",
        "9 5 5 4",
        "10 4 5 2",  # object 2 after its gap
    ]
    assert [image.name for image in images[:2]] == ["mask000.tif", "mask001.tif"]
    frame = tifffile.imread(images[4])
    assert frame.dtype == np.uint16
    assert set(np.unique(frame)) == {0, 3, 4, 10}


def test_the_axis_of_time_may_be_the_second(tmp_path):
    annotations = film(3)
    objects = [replace(obj, slice_index=obj.slice_index[::-1]) for obj in annotations.objects]
    image = ImageInfo((3, 6, 24, 30), "film", "ZTYX")
    table, *_ = write_ctc(tmp_path / "01_RES", replace(annotations, image=image, objects=objects))
    assert check_ctc(tmp_path / "01_RES") == []
    assert content(read_ctc(table)) == content(annotations)


def test_a_folder_is_replaced_whole_unless_it_has_other_files(tmp_path):
    folder = tmp_path / "01_RES"
    write_ctc(folder, film())
    short = film()
    objects = [obj for obj in short.objects if obj.slice_index < (2,)]
    write_ctc(folder, replace(short, image=ImageInfo((2, 24, 30), axes="TYX"), objects=objects))
    assert sorted(file.name for file in folder.iterdir()) == [
        "mask000.tif",
        "mask001.tif",
        "res_track.txt",
    ]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match="other files, such as notes"):
        write_ctc(folder, film())
    assert (folder / "notes.txt").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["01_RES"]


def test_what_the_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(FileError, match="need a film"):
        write_ctc(tmp_path / "a", replace(film(), image=ImageInfo((24, 30)), objects=[]))
    objects = [replace(obj, label_id=obj.label_id + 65530) for obj in film().objects]
    with pytest.raises(FileError, match="above 65535, the limit"):
        write_ctc(tmp_path / "a", replace(film(), objects=objects))
    objects = [replace(obj, parent_id=7 * (obj.label_id == 3)) for obj in film().objects]
    with pytest.raises(FileError, match="before parent 7 ends"):
        write_ctc(tmp_path / "a", replace(film(), objects=objects))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 0 3 0", "Track 1 is not in frame 3"),
        ("1 0 1 0", "Track 1 should not be in frame 2"),
        ("1 2 0 0", "lasts from frame 2 to 0"),
        ("1 0 2 5", "parent 5 of track 1 has no line"),
        ("1 0 2 7", "begins before its parent 7 has ended"),
        ("2 0 2 0", "Label 2 has 2 lines"),
        ("70000 0 2 0", "Label 70000 is not from 1 to 65535"),
        ("1 0 9 0", "ends in frame 9, which has no image"),
        ("1 0 2", "1 entry left out"),
    ],
)
def test_the_checker_finds_a_wrong_table(tmp_path, line, problem):
    table, *_ = write_ctc(tmp_path / "01_RES", film())
    table.write_text(table.read_text().replace("1 0 2 0", line))
    assert any(problem in text for text in check_ctc(tmp_path / "01_RES"))


def test_the_checker_finds_wrong_images(tmp_path):
    _, *images = write_ctc(tmp_path / "01_RES", film())
    tifffile.imwrite(images[0], tifffile.imread(images[0]).astype(np.uint8))
    tifffile.imwrite(images[1], tifffile.imread(images[1])[:20])
    images[5].unlink()
    problems = " ".join(check_ctc(tmp_path / "01_RES"))
    assert "mask000.tif has uint8 pixels" in problems
    assert "2 sizes" in problems
    assert "ends in frame 5, which has no image" in problems
    images[2].unlink()
    assert "not numbered from 0 without a gap" in " ".join(check_ctc(tmp_path / "01_RES"))


def test_damaged_films(tmp_path):
    table, *images = write_ctc(tmp_path / "01_RES", film())
    lines = table.read_text()
    table.write_text(lines + "30 1 2 0\nnonsense\n")
    read = read_ctc(table)
    assert read.left_out.counts == {"entry": 1, "track without pixels": 1}
    assert content(read) == content(film())
    tifffile.imwrite(images[1], np.zeros((9, 9), np.uint16))
    with pytest.raises(FileError, match="another size"):
        read_ctc(table)
    images[1].write_bytes(b"II*\0")
    with pytest.raises(FileError, match="cannot be read"):
        read_ctc(table)
    for image in images:
        image.unlink()
    with pytest.raises(FileError, match="no images such as"):
        read_ctc(table)
    with pytest.raises(FileError, match="There is no res_track"):
        check_ctc(tmp_path)


def test_a_film_of_another_image_is_refused(tmp_path):
    table, *_ = write_ctc(tmp_path / "01_RES", film())
    with pytest.raises(FileError, match="not \\(2, 24, 30\\)"):
        read_objects(table, ImageInfo((2, 24, 30), axes="TYX"))
