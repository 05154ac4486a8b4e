"""What encodes images and what decodes prompts, as the session sees them.

One object may be both, as `napari_sam.model.Predictor` is; an `Engine` puts together two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from napari_sam.engine.embeddings import EmbeddingArrays, ImageEmbedding
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.spec import ModelSpec, Size

ProgressCallback = Callable[[int, int], None]
"""Called as ``on_block(done, total)`` between encoder blocks; raising stops the encode."""


class ImageEncoder(Protocol):
    """Encodes images; may be called on any thread."""

    @property
    def spec(self) -> ModelSpec:
        """Sizes of what it takes and gives."""

    @property
    def fingerprint(self) -> str:
        """Identifies its embeddings: weights, precision, preprocessing."""

    def encode(
        self, image: npt.NDArray[np.uint8], on_block: ProgressCallback | None = None
    ) -> ImageEmbedding:
        """Encode an image.

        Parameters
        ----------
        image : ndarray
            (H, W, 3) uint8, RGB.
        on_block : callable, optional
            Called as ``on_block(done, total)`` now and then, on this thread. An exception it
            raises stops the encode and comes out here.

        Returns
        -------
        ImageEmbedding
            Of the arrays that `spec` names.
        """


class MaskDecoder(Protocol):
    """Decodes prompts; may be called on any thread, and holds nothing of any image."""

    @property
    def spec(self) -> ModelSpec:
        """Sizes of what it takes and gives."""

    @property
    def device(self) -> str:
        """What it runs on, such as "cpu"."""

    def warm_up(self) -> None:
        """Make later decodes fast, if there is anything to be done for that."""

    def from_arrays(self, arrays: EmbeddingArrays, original_size: Size) -> ImageEmbedding:
        """Prepare an embedding that was stored, sent, or made by another implementer.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            From `ImageEmbedding.to_arrays`; those in float32 fit a decoder of any precision.
        original_size : tuple of int
            (H, W) of the image.

        Returns
        -------
        ImageEmbedding
            For `decode`.

        Raises
        ------
        ValueError
            If the names, shapes or types are not those of this model.
        """

    def decode(
        self,
        embedding: ImageEmbedding,
        points_xy: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box_xyxy: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        multimask_output: bool = True,
        is_only: bool = False,
    ) -> MaskPrediction:
        """Predict the masks that a prompt may mean.

        Parameters
        ----------
        embedding : ImageEmbedding
            From `from_arrays`, or an encoder that is the same object.
        points_xy : array-like, optional
            (N, 2), (x, y) in pixels of the image; points outside it are accepted.
        point_labels : array-like, optional
            (N,), 1 for foreground, 0 for background, -1 for points to ignore.
        box_xyxy : array-like, optional
            (4,), x0, y0, x1, y1 in pixels of the image; any two opposite corners will do.
        mask_input : array-like, optional
            (low_res_side, low_res_side) logits, usually one of `MaskPrediction.low_res_logits`.
        multimask_output : bool
            All candidates, the better choice for ambiguous prompts such as a single point, or
            one mask.
        is_only : bool
            Whether no other prompt on the image is to be expected: nothing is prepared for others
            then. The masks are the same, but for rounding, and for what lies farther away from a
            box than half its length, which may be left out. Given only to models with
            `Capability.SINGLE_PROMPT`.

        Returns
        -------
        MaskPrediction
            Of K = `ModelSpec.candidate_count` masks, or of one.

        Raises
        ------
        ValueError
            If there is no prompt at all, or a shape or value is wrong.
        """

    def decode_batch(
        self,
        embedding: ImageEmbedding,
        points_xy: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        boxes_xyxy: npt.ArrayLike | None = None,
        multimask_output: bool = True,
    ) -> list[MaskPrediction]:
        """Predict masks for many independent prompts on one image.

        Parameters
        ----------
        embedding : ImageEmbedding
            Shared by all prompts.
        points_xy : array-like, optional
            (B, N, 2), (x, y) in pixels of the image.
        point_labels : array-like, optional
            (B, N), 1 for foreground, 0 for background, -1 to fill up shorter prompts.
        boxes_xyxy : array-like, optional
            (B, 4), x0, y0, x1, y1 in pixels of the image.
        multimask_output : bool
            All candidates per prompt, or one mask.

        Returns
        -------
        list of MaskPrediction
            One per prompt, the same as `decode` returns for it.

        Raises
        ------
        ValueError
            If there are neither points nor boxes, or a shape or value is wrong.
        """


class PromptableModel(ImageEncoder, MaskDecoder, Protocol):
    """An encoder and a decoder in one object."""


class Engine(NamedTuple):
    """An encoder, and a decoder that understands its embeddings.

    Attributes
    ----------
    encoder : ImageEncoder
        May be on another machine.
    decoder : MaskDecoder
        May be the same object.
    """

    encoder: ImageEncoder
    decoder: MaskDecoder

    @classmethod
    def of(cls, model: Engine | PromptableModel) -> Engine:
        """Return the two halves of a model, which may be one object.

        Raises
        ------
        ValueError
            If the decoder takes other embeddings than the encoder gives.
        """
        if not isinstance(model, Engine):
            return cls(model, model)
        given, wanted = (
            [(array.name, array.shape) for array in half.spec.arrays] for half in model
        )
        if given != wanted:
            raise ValueError(
                f"The encoder gives embeddings of {given}, the decoder takes {wanted}: they "
                "belong to different models."
            )
        return model

    def encode(
        self, image: npt.NDArray[np.uint8], on_block: ProgressCallback | None = None
    ) -> ImageEmbedding:
        """Encode an image, as `ImageEncoder.encode` does, for the decoder."""
        return self.for_decoder(self.encoder.encode(image, on_block))

    def for_decoder(self, embedding: ImageEmbedding) -> ImageEmbedding:
        """Convert an embedding of the encoder's to what the decoder takes."""
        encoder: object = self.encoder
        if encoder is self.decoder:
            return embedding
        return self.decoder.from_arrays(embedding.to_arrays(), embedding.original_size)
