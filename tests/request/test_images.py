import pytest

from napari_sam.request import RequestError, Rules
from napari_sam.request.images import read_image


@pytest.mark.parametrize("name", ["~nosuchuser/image.png", "a\0b", "x" * 5000, "/dev/zero"])
def test_names_that_no_file_has_are_refused(name):
    with pytest.raises(RequestError):
        read_image(name, Rules())
