import numpy as np
import pytest
from PIL import Image

from napari_sam.request import RequestError, Rules
from napari_sam.request.images import read_image


@pytest.mark.parametrize("name", ["~nosuchuser/image.png", "a\0b", "x" * 5000, "/dev/zero"])
def test_names_that_no_file_has_are_refused(name):
    with pytest.raises(RequestError):
        read_image(name, Rules())


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_photographs_are_turned_as_their_metadata_say(tmp_path, name):
    exif = Image.Exif()
    exif[0x112] = 6  # the first row of the file is the right side
    pixels = np.zeros((16, 24), np.uint8)
    pixels[:8] = 255
    Image.fromarray(pixels).save(tmp_path / name, exif=exif)
    turned = read_image(str(tmp_path / name), Rules())
    assert turned.shape[:2] == (24, 16)
    assert turned[:, :7].max() < 20
    assert turned[:, 9:].min() > 235
