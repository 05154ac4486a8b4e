"""Two files of one folder that belong to different series; napari's own reader opens the first."""

import sys
from pathlib import Path

import pytest

from napari_sam.formats.dicom import read_dicom
from napari_sam.formats.files import FileError

FOLDER = Path(__file__).parents[1] / "data" / "dicom"


@pytest.mark.parametrize(("name", "shape"), [("part_1", (120, 160)), ("part_2", (60, 80))])
def test_a_file_is_its_own_image(name, shape):
    pixels, meta = read_dicom(FOLDER / f"{name}.dcm")
    assert pixels.shape == shape
    assert meta["scale"] == [0.5, 0.5]
    assert meta["units"] == ["millimeter"] * 2
    assert not meta["rgb"]


def test_values_are_rescaled_as_the_file_says(tmp_path):
    import pydicom

    dataset = pydicom.dcmread(FOLDER / "part_2.dcm")
    plain = dataset.pixel_array
    dataset.RescaleSlope, dataset.RescaleIntercept = "2", "-1024"
    dataset.PhotometricInterpretation = "MONOCHROME1"
    del dataset.PixelSpacing
    dataset.save_as(tmp_path / "ct.dcm")
    pixels, meta = read_dicom(tmp_path / "ct.dcm")
    assert (pixels == 2.0 * plain - 1024).all()
    assert meta["colormap"] == "gray_r"
    assert meta["units"] == ["pixel"] * 2


def test_what_cannot_be_read_is_refused_in_words(tmp_path, monkeypatch):
    whole = (FOLDER / "part_2.dcm").read_bytes()
    for content in (b"", b"no DICOM", whole[:600], whole[:-5000]):
        (tmp_path / "damaged.dcm").write_bytes(content)
        with pytest.raises(FileError, match=r"damaged\.dcm cannot be read as DICOM"):
            read_dicom(tmp_path / "damaged.dcm")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(FileError, match=r"needs pydicom; run pip install"):
        read_dicom(FOLDER / "part_2.dcm")
