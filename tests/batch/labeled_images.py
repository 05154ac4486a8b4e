"""Small images with discs and the objects in them, and a tiny model that may learn from them."""

import numpy as np
import tifffile
import torch

from napari_sam.batch.labeled import LabeledImage, LabeledPlane
from napari_sam.engine.masks import tight_crop
from napari_sam.session.image.image_plane import ImagePlane
from napari_sam.session.models.model_choice import ModelChoice
from tests.model.conftest import TINY_CONFIG
from tests.model.sam2_models import random_model

CENTERS = ((18, 18), (40, 30), (20, 58))


def discs(seed):
    """Return an image and its labels."""
    rng = np.random.default_rng(seed)
    image = rng.integers(20, 40, (60, 80)).astype(np.uint8)
    labels = np.zeros(image.shape, np.uint8)
    y, x = np.indices(image.shape)
    for label_id, (row, column) in enumerate(CENTERS, start=1):
        labels[np.hypot(y - row, x - column) < 8 + rng.integers(4)] = label_id
    image[labels > 0] = 200
    return image, labels


def labeled_image(seed):
    image, labels = discs(seed)
    objects = tuple(tight_crop(labels == label_id) for label_id in (1, 2, 3))
    return LabeledImage(str(seed), (LabeledPlane(ImagePlane(image), objects, (None,) * 3),))


def write_folders(folder, seeds=(0, 1, 2)):
    """Write images and labels, each into a folder of their own; return the folders."""
    images, labels = folder / "images", folder / "labels"
    for part in (images, labels):
        part.mkdir(parents=True)
    for seed in seeds:
        image, truth = discs(seed)
        tifffile.imwrite(images / f"cell_{seed}.tif", image)
        tifffile.imwrite(labels / f"cell_{seed}_labels.tif", truth)
    return images, labels


def tiny_choice(folder):
    """Write the weights of a tiny model, and choose them; `VARIANTS` has to know it."""
    torch.save(random_model(TINY_CONFIG).state_dict(), folder / "tiny.pt")
    return ModelChoice().with_weights("tiny.pt", folder / "tiny.pt")
