"""Encoding an image once, and decoding any number of prompts on it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from torch import Tensor

from napari_sam.model.prediction import MaskPrediction
from napari_sam.model.runtime.devices import PRECISIONS, available_devices
from napari_sam.model.runtime.parallel import map_on_cores
from napari_sam.model.runtime.streams import Streams
from napari_sam.model.sam.common import ProgressCallback
from napari_sam.model.sam.linear import convolutions_are_faster
from napari_sam.model.sam.prompt_encoder import PADDING
from napari_sam.model.sam.sam import Sam
from napari_sam.model.sam.traced import TracedDecoder
from napari_sam.model.sam.transformer import ImageTokens
from napari_sam.model.transforms import (
    Size,
    resize_image,
    resized_size,
    scale_boxes,
    scale_points,
)
from napari_sam.model.validation import (
    FloatArray,
    check_boxes,
    check_image,
    check_mask_input,
    check_points,
)

ACCELERATOR_BATCH = 32
"""Prompts decoded together on an accelerator; each takes some 30 MB in float32."""


PREPROCESSING_VERSION = 1
"""To be raised when `encode` does something else to an image before the encoder sees it."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """Everything the decoder needs to know of one image; stays on the predictor's device.

    Attributes
    ----------
    image_embedding : Tensor
        (256, 64, 64), of the predictor's precision.
    image_tokens : ImageTokens
        What prompts on the image share, computed ahead.
    original_size, input_size : tuple of int
        (H, W) of the image and of its resized version inside the square input.
    """

    image_embedding: Tensor
    image_tokens: ImageTokens
    original_size: Size
    input_size: Size

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.image_embedding.nbytes + self.image_tokens.nbytes

    def numpy(self) -> npt.NDArray[np.float32]:
        """Return a copy of the plain embedding, (256, 64, 64) float32."""
        return self.image_embedding.float().cpu().numpy().copy()


def _computation(
    method: Callable[Concatenate[Predictor, P], R],
) -> Callable[Concatenate[Predictor, P], R]:
    """Have a method compute without gradients, and on a GPU on a stream of its thread."""

    @wraps(method)
    def compute(predictor: Predictor, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(), predictor.streams.own():
            return method(predictor, *args, **kwargs)

    return compute


class Predictor:
    """Runs a model on a device.

    It holds nothing of any image, so one thread may encode while another decodes.

    Parameters
    ----------
    model : Sam
        From `load_model`; copied if it has to be moved or cast, never changed.
    device : str
        A torch device, or "auto" for the first of cuda, mps, xpu and cpu that there is.
    precision : str
        "float32", or "bfloat16" or "float16" for the encoder and the decoder; coordinates are
        always encoded in float32.

    Raises
    ------
    ValueError
        If the device or the precision is unknown, or the device is not available.
    """

    def __init__(self, model: Sam, device: str = "auto", precision: str = "float32") -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"No precision {precision!r}; choose one of {', '.join(PRECISIONS)}.")
        self.device = available_devices()[0] if device == "auto" else device
        self.precision = precision
        self._dtype = PRECISIONS[precision]
        self._model = self._placed(model)
        self.streams = Streams(self.device)
        with torch.inference_mode():
            self._image_pe = self._model.prompt_encoder.image_pe().to(self._dtype)
        self._trace: TracedDecoder | None = None
        if self.device == "cpu":
            convolutions_are_faster()  # tried here: inside a trace it would be traced, not timed

    def _placed(self, model: Sam) -> Sam:
        try:
            torch.empty(0, device=self.device)
        # What an unusable device raises differs between devices and builds of torch.
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ValueError(
                f"The device {self.device!r} cannot be used here ({error}); choose 'auto'."
            ) from error
        if self._dtype == torch.float32 and model.pixel_mean.device == torch.device(self.device):
            return model
        placed = copy.deepcopy(model).to(self.device)
        placed.image_encoder.to(self._dtype)
        placed.mask_decoder.to(self._dtype)
        placed.mask_decoder.iou_prediction_head.float()
        return placed

    @_computation
    def warm_up(self) -> None:
        """Make later decodes of one prompt fast, on any thread; takes some tenths of a second.

        Without it they give the same masks. Worth it where another thread keeps Python busy.
        """
        if self._trace is None:
            embedding = torch.zeros(self._embedding_shape, dtype=self._dtype, device=self.device)
            tokens = self._image_tokens(embedding, self._model.prompt_encoder.dense(None))
            parts = self._model.prompt_encoder, self._model.mask_decoder
            self._trace = TracedDecoder.of(*parts, embedding, tokens, self._image_pe)

    @_computation
    def encode(
        self, image: npt.NDArray[np.uint8], on_block: ProgressCallback | None = None
    ) -> ImageEmbedding:
        """Encode an image.

        Parameters
        ----------
        image : ndarray
            (H, W, 3) uint8, RGB.
        on_block : callable, optional
            Called as ``on_block(done, total)`` between encoder blocks, on this thread. An
            exception it raises stops the encode and comes out here.

        Returns
        -------
        ImageEmbedding
            For `decode`, of this predictor or one of the same model, device and precision.

        Raises
        ------
        ValueError
            If the image has another shape or dtype, or no pixel.
        """
        image = check_image(image)
        original_size = (image.shape[0], image.shape[1])
        input_size = resized_size(original_size, self._model.image_size)
        resized = self.streams.send(resize_image(image, input_size))
        padded = self._model.preprocess(resized.permute(2, 0, 1)).to(self._dtype)
        return self._prepared(self._model.image_encoder(padded, on_block)[0], original_size)

    @_computation
    def restore(self, image_embedding: Tensor, original_size: Size) -> ImageEmbedding:
        """Prepare an image embedding that was kept for decoding.

        Parameters
        ----------
        image_embedding : Tensor
            (256, 64, 64), the `ImageEmbedding.image_embedding` that a predictor of the same
            `fingerprint` has made.
        original_size : tuple of int
            (H, W) of its image.

        Returns
        -------
        ImageEmbedding
            The same as `encode` gave.

        Raises
        ------
        ValueError
            If it is of another shape or precision.
        """
        expected = self._embedding_shape
        if tuple(image_embedding.shape) != expected or image_embedding.dtype != self._dtype:
            raise ValueError(
                f"The image embedding is {tuple(image_embedding.shape)} {image_embedding.dtype}; "
                f"this model has {expected} {self._dtype}. Encode the image again."
            )
        return self._prepared(image_embedding.to(self.device), original_size)

    @property
    def _embedding_shape(self) -> tuple[int, int, int]:
        side = self._model.prompt_encoder.embedding_size
        return self._image_pe.shape[-1], side, side

    def _prepared(self, image_embedding: Tensor, original_size: Size) -> ImageEmbedding:
        """Do the work that all prompts on an image of (H, W) pixels share."""
        tokens = self._image_tokens(image_embedding, self._model.prompt_encoder.dense(None))
        input_size = resized_size(original_size, self._model.image_size)
        return ImageEmbedding(image_embedding, tokens, original_size, input_size)

    @cached_property
    def fingerprint(self) -> str:
        """Tells what encodes images from what encodes them otherwise: weights and precision."""
        digest = xxhash.xxh128(
            f"{PREPROCESSING_VERSION} {self.precision} {self._model.image_size}".encode()
        )
        for name, tensor in self._model.image_encoder.state_dict().items():
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    @_computation
    def decode(
        self,
        embedding: ImageEmbedding,
        points_xy: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box_xyxy: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        multimask_output: bool = True,
    ) -> MaskPrediction:
        """Predict the masks that a prompt may mean.

        Parameters
        ----------
        embedding : ImageEmbedding
            From `encode`.
        points_xy : array-like, optional
            (N, 2), (x, y) in pixels of the image; points outside it are accepted.
        point_labels : array-like, optional
            (N,), 1 for foreground, 0 for background, -1 for points to ignore.
        box_xyxy : array-like, optional
            (4,), x0, y0, x1, y1 in pixels of the image; any two opposite corners will do.
        mask_input : array-like, optional
            (256, 256) or (1, 256, 256) logits, usually one of `MaskPrediction.low_res_logits`.
        multimask_output : bool
            Three masks, the better choice for ambiguous prompts such as a single point, or one.

        Returns
        -------
        MaskPrediction
            Of K = 3 masks, or of one.

        Raises
        ------
        ValueError
            If there is no prompt at all, or a shape or value is wrong.
        """
        points, labels, boxes = None, None, None
        if points_xy is not None or point_labels is not None:
            points, labels = check_points(points_xy, point_labels, ndim=2)
            points, labels = (points[None], labels[None]) if len(points) else (None, None)
        if box_xyxy is not None:
            boxes = check_boxes(box_xyxy, ndim=1, name="box_xyxy")[None]
        if points is None and boxes is None and mask_input is None:
            raise ValueError("There is no prompt; pass points, a box or a mask.")

        self._check_embedding(embedding)
        tokens = embedding.image_tokens
        if mask_input is not None:
            mask = check_mask_input(mask_input, self._model.prompt_encoder.mask_input_size)
            tokens = self._tokens_with_mask(embedding.image_embedding, self.streams.send(mask))
        has_positions = points is not None or boxes is not None
        if self._trace is not None and multimask_output and has_positions:
            results = self._traced(tokens, *self._uniform(embedding, points, labels, boxes))
        else:
            sparse = self._sparse(embedding, points, labels, boxes)
            results = self._model.mask_decoder(tokens, self._image_pe, sparse, multimask_output)
        return self._predictions(embedding, *results)[0]

    def _traced(
        self, tokens: ImageTokens, positions_xy: Tensor, kinds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decode one prompt, (1, n, 2) and (1, n), to three masks; after `warm_up` alone."""
        assert self._trace is not None
        return self._trace.three_masks(
            **vars(tokens), image_pe=self._image_pe, positions_xy=positions_xy, kinds=kinds
        )

    @_computation
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
            From `encode`; its tokens are shared by all prompts.
        points_xy : array-like, optional
            (B, N, 2), (x, y) in pixels of the image.
        point_labels : array-like, optional
            (B, N), 1 for foreground, 0 for background, -1 to fill up shorter prompts.
        boxes_xyxy : array-like, optional
            (B, 4), x0, y0, x1, y1 in pixels of the image.
        multimask_output : bool
            Three masks per prompt, or one.

        Returns
        -------
        list of MaskPrediction
            One per prompt, the same as `decode` returns for it.

        Raises
        ------
        ValueError
            If there are neither points nor boxes, or a shape or value is wrong.
        """
        points, labels, boxes = None, None, None
        if points_xy is not None or point_labels is not None:
            points, labels = check_points(points_xy, point_labels, ndim=3)
        if boxes_xyxy is not None:
            boxes = check_boxes(boxes_xyxy, ndim=2, name="boxes_xyxy")
        if boxes is None and (points is None or points.shape[1] == 0):
            raise ValueError("There is no prompt; pass points or boxes.")
        if points is not None and boxes is not None and len(points) != len(boxes):
            raise ValueError(
                f"There are {len(points)} point prompts and {len(boxes)} boxes; pass as many of "
                "one as of the other."
            )
        self._check_embedding(embedding)
        given = boxes if points is None else points
        if given is None or len(given) == 0:
            return []
        results = self._decode_each(embedding, points, labels, boxes, multimask_output)
        return [one for result in results for one in self._predictions(embedding, *result)]

    def _decode_each(
        self,
        embedding: ImageEmbedding,
        points: FloatArray | None,
        labels: FloatArray | None,
        boxes: FloatArray | None,
        multimask_output: bool,
    ) -> list[tuple[Tensor, Tensor]]:
        """Decode B > 0 prompts, given as to `_sparse`, to results of the decoder for some each."""
        tokens, image_pe = embedding.image_tokens, self._image_pe
        if self.device == "cpu" and self._trace is not None and multimask_output:
            prompts = self._uniform(embedding, points, labels, boxes)
            pairs = list(zip(*(torch.split(tensor, 1) for tensor in prompts), strict=True))
            return map_on_cores(lambda prompt: self._traced(tokens, *prompt), pairs)
        sparse = self._sparse(embedding, points, labels, boxes)

        def decode(part: Tensor) -> tuple[Tensor, Tensor]:
            result: tuple[Tensor, Tensor] = self._model.mask_decoder(
                tokens, image_pe, part, multimask_output
            )
            return result

        if self.device == "cpu":  # where one prompt fills the cache of a core
            return map_on_cores(decode, torch.split(sparse, 1))
        return [decode(part) for part in torch.split(sparse, ACCELERATOR_BATCH)]

    def _check_embedding(self, embedding: ImageEmbedding) -> None:
        given = embedding.image_embedding
        if given.dtype != self._dtype or given.device.type != torch.device(self.device).type:
            raise ValueError(
                f"The image embedding is {given.dtype} on {given.device}, this predictor is "
                f"{self._dtype} on {self.device}; encode the image again with this predictor."
            )

    def _image_tokens(self, image_embedding: Tensor, dense: Tensor) -> ImageTokens:
        """Prepare the image tokens from (C, e, e) and ``dense_embeddings`` (L or 1, C)."""
        flat = image_embedding.permute(1, 2, 0).flatten(0, 1)
        return self._model.mask_decoder.prepare(flat, dense.to(self._dtype), self._image_pe)

    def _tokens_with_mask(self, image_embedding: Tensor, mask_input: Tensor) -> ImageTokens:
        """Prepare the image tokens from (C, e, e) and a mask prompt (1, 1, 4 e, 4 e)."""
        if self._trace is not None:
            parts = self._trace.mask_prompt(image_embedding, mask_input, self._image_pe)
            return ImageTokens(*parts)
        return self._image_tokens(image_embedding, self._model.prompt_encoder.dense(mask_input))

    def _sparse(
        self,
        embedding: ImageEmbedding,
        points: FloatArray | None,
        labels: FloatArray | None,
        boxes: FloatArray | None,
    ) -> Tensor:
        """Encode points (B, N, 2), labels (B, N) and boxes (B, 4) of the image."""
        sizes = embedding.original_size, embedding.input_size
        return self._model.prompt_encoder.sparse(
            None if points is None else self._tensor(scale_points(points, *sizes)),
            None if labels is None else self._tensor(labels),
            None if boxes is None else self._tensor(scale_boxes(boxes, *sizes)),
        ).to(self._dtype)

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        return self.streams.send(array.astype(np.float32))

    def _uniform(
        self,
        embedding: ImageEmbedding,
        points: FloatArray | None,
        labels: FloatArray | None,
        boxes: FloatArray | None,
    ) -> tuple[Tensor, Tensor]:
        """Bring the points (B, N, 2), labels (B, N) and boxes (B, 4) of prompts into one list.

        Returns positions (B, n, 2) and kinds (B, n) for `PromptEncoder.sparse_uniform`.
        """
        sizes = embedding.original_size, embedding.input_size
        positions: list[npt.NDArray[Any]] = []
        kinds: list[npt.NDArray[Any]] = []
        if points is not None and labels is not None:
            positions.append(scale_points(points, *sizes))
            kinds.append(labels)
        if boxes is None:
            count = len(positions[0])
            positions.append(np.zeros((count, 1, 2)))
            kinds.append(np.full((count, 1), PADDING))
        else:
            positions.append(scale_boxes(boxes, *sizes).reshape(-1, 2, 2))
            kinds.append(np.tile([[2, 3]], (len(boxes), 1)))
        return (
            self._tensor(np.concatenate(positions, axis=1)),
            self._tensor(np.concatenate(kinds, axis=1)).long(),
        )

    def _predictions(
        self, embedding: ImageEmbedding, logits: Tensor, ious: Tensor
    ) -> list[MaskPrediction]:
        """Bring B prompts' logits (B, K, 4 e, 4 e) and scores (B, K) to the caller."""
        sizes = embedding.original_size, embedding.input_size, self._model.image_size
        return [
            MaskPrediction(low_res_logits, iou_predictions, *sizes)
            for low_res_logits, iou_predictions in zip(
                logits.float().cpu().numpy(), ious.float().cpu().numpy(), strict=True
            )
        ]
