"""Images and their labels: which belong together, and what is wrong with them."""

import numpy as np
import pytest
import tifffile

from napari_sam.batch.labeled import LabelsError, find_pairs, read_pairs
from napari_sam.batch.training_tiles import labels_on
from napari_sam.cli.open_images import NapariOpener
from napari_sam.engine.masks import tight_crop
from napari_sam.engine.spec import SAM_SPEC
from napari_sam.formats import Annotations, ExportObject, ImageInfo, write_coco
from napari_sam.session.image.tiles import Tile
from tests.batch.labeled_images import discs, write_folders


def test_labels_are_found_by_the_name_of_their_image(tmp_path):
    images, labels = write_folders(tmp_path)
    (labels / "cell_1_labels.tif").rename(labels / "cell_1.tif")
    tifffile.imwrite(images / "unlabeled.tif", np.zeros((5, 5), np.uint8))
    pairs = find_pairs(str(images), str(labels))
    names = [(image.name, path.name) for image, path in pairs]
    assert names == [
        ("cell_0", "cell_0_labels.tif"),
        ("cell_1", "cell_1.tif"),
        ("cell_2", "cell_2_labels.tif"),
    ]
    read = read_pairs(pairs, NapariOpener())
    assert [image.object_count for image in read] == [3, 3, 3]
    (plane,) = read[1].planes
    np.testing.assert_array_equal(
        plane.objects[0].within(0, 0, plane.plane.shape), discs(1)[1] == 1
    )


def test_images_and_labels_lie_together(tmp_path):
    for name in ("a.tif", "a_labels.tif", "b_1.tif", "b_1_MASK.png", "c_cp_masks.png", "d.tif"):
        (tmp_path / name).touch()
    patterns = str(tmp_path / "*.tif"), str(tmp_path / "*_*")
    for images, labels in ((str(tmp_path), str(tmp_path)), patterns):
        pairs = find_pairs(images, labels)
        names = [(image.name, path.name) for image, path in pairs]
        assert names == [("a", "a_labels.tif"), ("b_1", "b_1_MASK.png")]
    with pytest.raises(LabelsError, match=r"call those of d d_labels.*_mask, _objects"):
        find_pairs(str(tmp_path / "d.tif"), str(tmp_path))


def test_one_file_has_the_labels_of_all_images(tmp_path):
    images, _ = write_folders(tmp_path, (0,))
    mask = np.ones((9, 9), bool)
    annotations = Annotations(ImageInfo((60, 80), "cell_0.tif"), [ExportObject(1, mask, 4, 4)])
    write_coco(tmp_path / "all.json", annotations)
    ((image, path),) = find_pairs(str(images), str(tmp_path / "all.json"))
    (labeled,) = read_pairs([(image, path)], NapariOpener())
    assert labeled.object_count == 1


def test_what_does_not_fit_is_told(tmp_path):
    images, labels = write_folders(tmp_path, (0,))
    with pytest.raises(LabelsError, match="call those of cell_0 cell_0_labels"):
        find_pairs(str(images), str(images / "none"))
    pairs = find_pairs(str(images), str(labels))
    for wrong, words in ((np.zeros((60, 80)), "There are no objects"), (np.ones((7, 8)), "(7, 8)")):
        tifffile.imwrite(labels / "cell_0_labels.tif", wrong.astype(np.uint8))
        with pytest.raises(LabelsError) as raised:
            read_pairs(pairs, NapariOpener())
        assert words in str(raised.value)
        assert "cell_0.tif" in str(raised.value)


def test_labels_on_a_tile_lie_where_the_model_sees_them():
    mask = np.zeros((100, 200), bool)
    mask[20:40, 60:90] = True
    labels = labels_on([tight_crop(mask)], Tile(0, 0, 0, 100, 200), SAM_SPEC, 256)
    assert labels.shape == (256, 256)
    rows, columns = np.nonzero(labels == 1)
    # 1.28 cells of the model's low resolution for each pixel
    np.testing.assert_allclose(
        [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1],
        np.array([20, 40, 60, 90]) * 1.28,
        atol=0.6,
    )
    assert (labels[128:] == -1).all()
    assert (labels[:128] >= 0).all()
    part = labels_on([tight_crop(mask)], Tile(0, 30, 80, 50, 50), SAM_SPEC, 256)
    assert part[0, 0] == 1
    assert np.count_nonzero(part == 1) == pytest.approx(100 * 256**2 / 50**2, rel=0.05)
