"""Imported image embeddings of one plane."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from napari_sam.engine.embeddings import ImageEmbedding
from napari_sam.engine.protocols import MaskDecoder
from napari_sam.engine.spec import SAM_SPEC
from napari_sam.session.image.tiles import Tile, TilePyramid
from napari_sam.session.micro_sam.embeddings import MicroSamEmbeddings, MicroSamError
from napari_sam.session.models.model_choice import ModelChoice


@dataclass(frozen=True, eq=False)
class PlaneEmbeddings:
    """The embeddings of the tiles of a plane, for one model; may be used on any thread."""

    stored: MicroSamEmbeddings  # those of the whole image
    slice_index: int  # the plane within the image
    model: ModelChoice  # the one that they match, or another one of its weights
    # called on any thread when one of them turns out to be damaged
    on_damaged: Callable[[MicroSamError], None]

    @property
    def pyramid(self) -> TilePyramid:
        """The tiles of the plane, of which some are embedded."""
        return self.stored.pyramid

    def key(self, tile: Tile, weights: Hashable) -> str | None:
        """Return what tells the embedding of a tile from all others; None if there is none."""
        if weights != self.model.weights or self._number_of(tile) is None:
            return None
        image = f"{self.stored.path} {self.stored.data_signature}"
        model = f"{self.stored.model_name} {self.stored.model_hash} {self.model.checkpoint}"
        return f"{image} {model} {self.slice_index} {tile}"

    def restored(self, tile: Tile, decoder: MaskDecoder) -> ImageEmbedding | None:
        """Read the embedding of a tile that has a key; None if it is damaged."""
        try:
            stored = self.stored.embedding(self.slice_index, self._number_of(tile) or 0)
        except MicroSamError as error:
            self.on_damaged(error)
            return None
        arrays = {SAM_SPEC.arrays[0].name: stored.image_embedding}
        return decoder.from_arrays(arrays, stored.original_size)

    def _number_of(self, tile: Tile) -> int | None:
        numbers = self.stored.tile_numbers(self.slice_index)
        return next((number for number in numbers if self.stored.tiles[number] == tile), None)
