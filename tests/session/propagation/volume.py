"""A volume in memory with labels, as a session sees it without any viewer."""

import numpy as np

from napari_sam.session import (
    AnnotationSession,
    ArrayLabels,
    ArraySlice,
    ArrayStack,
    PlaneRequest,
)


class Volume:
    """The image and its labels."""

    def __init__(self, image) -> None:
        self.stack = ArrayStack(image)
        self.labels = ArrayLabels(np.zeros(image.shape, np.uint16))

    def request(self, slice_index):
        """Show a slice."""
        plane = self.stack.image_plane(slice_index)
        target = ArraySlice(self.labels, slice_index)
        return PlaneRequest(
            plane, key=slice_index, slice_index=slice_index, target=target, stack=self.stack
        )

    def opened(self, predictor, slice_index=4):
        """Yield a session that shows a slice, and close it."""
        session = AnnotationSession(lambda *_: predictor)
        session.show(self.request(slice_index))
        yield session
        session.close()

    def slices_with(self, label_id):
        """Return the slices that an object is on."""
        return np.flatnonzero((self.labels.array == label_id).any(axis=(1, 2))).tolist()


def moving_discs(n_slices=9, side=96):
    """Two discs: one through slices 1 to 7 that grows, shrinks and moves, another in 3 to 8."""
    rng = np.random.default_rng(1)
    image = np.full((n_slices, side, side), 60.0)
    rows, columns = np.mgrid[:side, :side]
    for index in range(n_slices):
        if 1 <= index <= 7:
            radius = 14 - 2 * abs(index - 4)
            image[index][np.hypot(rows - 30 - index, columns - 30) <= radius] = 190
        if 3 <= index <= 8:
            image[index][np.hypot(rows - 66, columns - 66 - index) <= 10] = 190
    return (image + rng.normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
