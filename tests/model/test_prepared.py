"""Image tokens of the few images that are decoded on."""

import gc

import torch

from napari_sam.model.embedding import SamEmbedding
from napari_sam.model.prepared import CAPACITY, PreparedImages
from napari_sam.model.sam.base import IMAGE_EMBEDDING


def some_images(count):
    return [
        SamEmbedding({IMAGE_EMBEDDING: torch.zeros(1, 1, 1)}, (1, 1), (1, 1)) for _ in range(count)
    ]


def test_the_last_used_are_kept_and_no_image_is_kept_alive():
    prepared = []

    def prepare(embedding):
        prepared.append(images.index(embedding))
        return object()

    images, kept = some_images(CAPACITY + 2), PreparedImages(prepare)
    for image in images:
        kept.welcome(image)
    assert prepared == list(range(CAPACITY)), "one that has not been asked for made another one go"
    kept.of(images[0])
    kept.of(images[CAPACITY])
    assert prepared[CAPACITY:] == [CAPACITY]
    kept.of(images[0])
    kept.of(images[1])
    assert prepared[CAPACITY:] == [CAPACITY, 1], "not the one used longest ago had to go"
    images.clear()
    gc.collect()
    images += some_images(1)
    kept.welcome(images[0])
    assert prepared[-1] == 0
