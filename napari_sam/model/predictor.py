"""Encode an image once, and decode any number of prompts on it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial, wraps
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from torch import Tensor

from napari_sam.engine.embeddings import EmbeddingArrays, ImageEmbedding
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.engine.protocols import ProgressCallback
from napari_sam.engine.spec import Capability, ModelSpec, Size
from napari_sam.model.embedding import SamEmbedding, checked, embedding_spec, maps_of
from napari_sam.model.instances import InstancePredictor
from napari_sam.model.prediction import OneStepPrediction, TorchPrediction
from napari_sam.model.prepared import PreparedImages
from napari_sam.model.prompts import PromptBatch
from napari_sam.model.runtime.devices import PRECISIONS, available_devices
from napari_sam.model.runtime.parallel import map_on_cores
from napari_sam.model.runtime.streams import Streams
from napari_sam.model.sam.base import SegmentAnything
from napari_sam.model.sam.factored import FactoredTransformer, ImageTokens
from napari_sam.model.sam.linear import convolutions_are_faster
from napari_sam.model.sam.single_decoder import SingleDecoder
from napari_sam.model.sam.traced import TracedDecoder
from napari_sam.model.sam2.sam2 import Sam2
from napari_sam.model.sam2.tracking import Tracker
from napari_sam.model.sequences import SequencePredictor
from napari_sam.model.transforms import resize_image
from napari_sam.model.validation import check_image, check_mask_input

ACCELERATOR_BATCH = 32
"""Prompts decoded together on an accelerator; each takes less than 30 MB in float32."""

PREPROCESSING_VERSION = 1
"""To be increased when `encode` changes the image before the encoder in another way."""

P = ParamSpec("P")
R = TypeVar("R")


def _computation(
    method: Callable[Concatenate[Predictor, P], R],
) -> Callable[Concatenate[Predictor, P], R]:
    """Make a method compute without gradients, and on a GPU on a stream of its thread."""

    @wraps(method)
    def compute(predictor: Predictor, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(), predictor.streams.own():
            return method(predictor, *args, **kwargs)

    return compute


class Predictor:
    """Runs a model on a device: an `ImageEncoder` and a `MaskDecoder`.

    It keeps nothing of an image, so one thread may encode while another decodes.

    Parameters
    ----------
    model : SegmentAnything
        From `load_model`; copied if it must be moved or cast, never changed.
    device : str
        A torch device, or "auto" for the first available of cuda, mps, xpu and cpu.
    precision : str
        "float32", or "bfloat16" or "float16" for the encoder and the decoder; coordinates are
        always encoded in float32.

    Raises
    ------
    ValueError
        If the device or the precision is unknown, or the device is not available.
    """

    def __init__(
        self, model: SegmentAnything, device: str = "auto", precision: str = "float32"
    ) -> None:
        if precision not in PRECISIONS:
            names = ", ".join(PRECISIONS)
            raise ValueError(f"Unknown precision {precision!r}; choose one of {names}.")
        self.device = available_devices()[0] if device == "auto" else device
        self.precision = precision
        self._dtype = PRECISIONS[precision]
        self._model = self._placed(model)
        self.streams = Streams(self.device)
        with torch.inference_mode():
            image_pe = self._model.prompts.image_pe().to(self._dtype)
            self._factored = self._model.factored(image_pe)
            self._single = SingleDecoder(self._model, self._factored, image_pe)
        self.spec = self._find_spec()
        self._trace: TracedDecoder | None = None
        self._images = PreparedImages(partial(_prepare, self._model, self._factored))
        if self.device == "cpu":
            convolutions_are_faster()  # measured here: a trace would record the measurement

    def _find_spec(self) -> ModelSpec:
        capabilities = {Capability.MASK_PROMPT, Capability.SINGLE_PROMPT}
        if isinstance(self._model, Sam2) and self._model.config.memory is not None:
            capabilities.add(Capability.MEMORY)
        if self._model.instance_decoder is not None:
            capabilities.add(Capability.INSTANCE_DECODER)
        return ModelSpec(
            input_side=self._model.image_size,
            low_res_side=self._model.prompts.mask_input_size,
            arrays=embedding_spec(self._model, self._dtype),
            candidate_count=self._model.decoder.multimask_count,
            capabilities=frozenset(capabilities),
        )

    def _placed(self, model: SegmentAnything) -> SegmentAnything:
        try:
            torch.empty(0, device=self.device)
        # The exception for an unusable device differs between devices and builds of torch.
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ValueError(
                f"The device {self.device!r} is not usable here ({error}); choose 'auto'."
            ) from error
        if self._dtype == torch.float32 and model.pixel_mean.device == torch.device(self.device):
            return model
        placed = copy.deepcopy(model).to(self.device)
        placed.compute_in(self._dtype)
        return placed

    @_computation
    def warm_up(self) -> None:
        """Make later decodes of one prompt fast, on any thread; takes a fraction of a second.

        The masks are the same without it. Worth it where another thread keeps Python busy.
        """
        if self._trace is None:
            maps = tuple(
                torch.zeros(array.shape, dtype=self._dtype, device=self.device)
                for array in self.spec.arrays
            )
            self._trace = TracedDecoder.of(self._model, self._factored, maps)

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the encoding of images: the same for the same weights and precision."""
        digest = xxhash.xxh128(
            f"{PREPROCESSING_VERSION} {self.precision} {self._model.image_size}".encode()
        )
        for name, tensor in self._model.encoding_state().items():
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            values: npt.NDArray[np.uint8] = (
                tensor.detach().cpu().flatten().view(torch.uint8).numpy()
            )
            digest.update(values.data)
        return digest.hexdigest()

    @cached_property
    def memory(self) -> SequencePredictor:
        """The model for sequences, if the spec has `Capability.MEMORY`."""
        if not isinstance(self._model, Sam2) or Capability.MEMORY not in self.spec.capabilities:
            raise ValueError("This model remembers no slices; choose one of SAM 2.1.")
        with torch.inference_mode():
            tracker = Tracker(self._model, self._factored)
        # Not a method of this object, which would then refer to itself and stay in memory.
        check = partial(checked, dtype=self._dtype, device=self.device)
        return SequencePredictor(tracker, self.spec, self.streams, check)

    @cached_property
    def instance_decoder(self) -> InstancePredictor:
        """The decoder of all objects, if the spec has `Capability.INSTANCE_DECODER`."""
        network = self._model.instance_decoder
        if network is None:
            raise ValueError("This model has no instance decoder; choose one of micro-sam's.")
        check = partial(checked, dtype=self._dtype, device=self.device)
        return InstancePredictor(network, self.spec.input_side, self.streams, check)

    # Encoding --------------------------------------------------------------------------------

    @_computation
    def encode(
        self, image: npt.NDArray[np.uint8], on_block: ProgressCallback | None = None
    ) -> SamEmbedding:
        """Encode an image.

        Parameters
        ----------
        image : ndarray
            (H, W, 3) uint8, RGB.
        on_block : callable, optional
            Called as ``on_block(done, total)`` between encoder blocks, on this thread. An
            exception it raises stops the encode and propagates.

        Returns
        -------
        SamEmbedding
            For `decode` of this predictor, or of one with the same model, device and precision.

        Raises
        ------
        ValueError
            If the image has another shape or dtype, or is empty.
        """
        image = check_image(image)
        original_size = (image.shape[0], image.shape[1])
        resized = self.streams.send(resize_image(image, self.spec.input_size(original_size)))
        padded = self._model.preprocess(resized.permute(2, 0, 1)).to(self._dtype)
        return self._prepared(self._model.encode(padded, on_block), original_size)

    @_computation
    def from_arrays(self, arrays: EmbeddingArrays, original_size: Size) -> SamEmbedding:
        """Prepare a stored or received image embedding for decoding.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            From `SamEmbedding.to_arrays`, of a predictor of the same `fingerprint`; or in float32.
        original_size : tuple of int
            (H, W) of its image.

        Returns
        -------
        SamEmbedding
            As `encode` returned it.

        Raises
        ------
        ValueError
            If the arrays are of another shape or precision.
        """
        maps = maps_of(arrays, self.spec, self._dtype)
        return self._prepared(tuple(part.to(self.device) for part in maps), original_size)

    def _prepared(self, maps: tuple[Tensor, ...], original_size: Size) -> SamEmbedding:
        """Compute what all prompts on an image of (H, W) pixels share."""
        # In one order in memory, so that a restored embedding gives the same masks to the bit.
        parts = (part.contiguous() for part in maps)
        named = dict(zip(self._model.map_names, parts, strict=True))
        embedding = SamEmbedding(named, original_size, self.spec.input_size(original_size))
        self._images.welcome(embedding)
        return embedding

    # Decoding --------------------------------------------------------------------------------

    @_computation
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
        """Predict the masks that a prompt may mean: three, or one; see `MaskDecoder.decode`.

        Raises
        ------
        ValueError
            If there is no prompt at all, a shape or value is wrong, or the embedding is not of
            this device and precision.
        """
        prompt = PromptBatch.of_one(points_xy, point_labels, box_xyxy)
        if not prompt.has_positions and mask_input is None:
            raise ValueError("There is no prompt; pass points, a box or a mask.")
        embedding = self._checked(embedding)
        prompt = prompt.in_input(embedding.original_size, embedding.input_size)
        columns = None
        if mask_input is not None:
            mask = check_mask_input(mask_input, self.spec.low_res_side)
            columns = self._mask_columns(self.streams.send(mask))
        if is_only and multimask_output and prompt.has_positions:
            results = self._single.three_masks(
                tuple(embedding.maps.values()),
                columns,
                self._positions(prompt),
                prompt.boxes_xyxy,
                is_traced=self._trace is not None,
            )
            return self._predictions(embedding, *results)[0]
        tokens = self._images.of(embedding)
        if columns is not None:
            tokens = replace(tokens, columns=columns)
        if self._trace is not None and multimask_output and prompt.has_positions:
            results = self._traced(tokens, *self._positions(prompt))
        else:
            results = self._plain(tokens, self._sparse(prompt), multimask_output)
        return self._predictions(embedding, *results)[0]

    @_computation
    def decode_batch(
        self,
        embedding: ImageEmbedding,
        points_xy: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        boxes_xyxy: npt.ArrayLike | None = None,
        multimask_output: bool = True,
    ) -> list[MaskPrediction]:
        """Predict masks for many independent prompts; see `MaskDecoder.decode_batch`.

        Raises
        ------
        ValueError
            If there are neither points nor boxes, a shape or value is wrong, or the embedding is
            not of this device and precision.
        """
        prompts = PromptBatch.of_many(points_xy, point_labels, boxes_xyxy)
        embedding = self._checked(embedding)
        if prompts.prompt_count == 0:
            return []
        prompts = prompts.in_input(embedding.original_size, embedding.input_size)
        results = self._decode_each(self._images.of(embedding), prompts, multimask_output)
        return [
            prediction for result in results for prediction in self._predictions(embedding, *result)
        ]

    def _decode_each(
        self, tokens: ImageTokens, prompts: PromptBatch, multimask_output: bool
    ) -> list[tuple[Tensor, Tensor]]:
        """Decode B > 0 prompts in input pixels; return the results of parts of them."""
        if self.device == "cpu" and self._trace is not None and multimask_output:
            parts = (torch.split(tensor, 1) for tensor in self._positions(prompts))
            pairs = list(zip(*parts, strict=True))
            return map_on_cores(lambda prompt: self._traced(tokens, *prompt), pairs)
        sparse = self._sparse(prompts)

        def decode(part: Tensor) -> tuple[Tensor, Tensor]:
            return self._plain(tokens, part, multimask_output)

        if self.device == "cpu":  # where one prompt fills the cache of a core
            return map_on_cores(decode, torch.split(sparse, 1))
        return [decode(part) for part in torch.split(sparse, ACCELERATOR_BATCH)]

    def _traced(
        self, tokens: ImageTokens, positions_xy: Tensor, kinds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decode one prompt, (1, n, 2) and (1, n), to three masks; only after `warm_up`."""
        assert self._trace is not None
        return self._trace.three_masks(positions_xy, kinds, *vars(tokens).values())

    def _plain(
        self, tokens: ImageTokens, sparse: Tensor, multimask_output: bool
    ) -> tuple[Tensor, Tensor]:
        """Decode ``sparse_embeddings`` (B, n, C) without the trace."""
        results: tuple[Tensor, Tensor] = self._model.decoder(
            self._factored, tokens, sparse, multimask_output
        )
        return results

    def _checked(self, embedding: ImageEmbedding) -> SamEmbedding:
        return checked(embedding, self._dtype, self.device)

    def _mask_columns(self, mask_input: Tensor) -> Tensor:
        """Encode a mask prompt (1, 1, 4 e, 4 e)."""
        if self._trace is not None:
            return self._trace.mask_columns(mask_input)
        return self._model.prompts.mask_columns(mask_input).to(self._dtype)

    def _sparse(self, prompts: PromptBatch) -> Tensor:
        """Encode prompts in input pixels."""
        tensors = (None if array is None else self.streams.send(array) for array in prompts)
        return self._model.prompts.sparse(*tensors).to(self._dtype)

    def _positions(self, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        """Return prompts in input pixels as `PromptEncoder.sparse_uniform` takes them."""
        positions_xy, kinds = prompts.positions(self._model.prompts.pads_boxes)
        return self.streams.send(positions_xy), self.streams.send(kinds)

    def _predictions(
        self, embedding: SamEmbedding, logits: Tensor, ious: Tensor
    ) -> list[MaskPrediction]:
        """Return the predictions of B prompts, of logits (B, K, 4 e, 4 e) and scores (B, K)."""
        sizes = embedding.original_size, embedding.input_size, self.spec.input_side
        make = OneStepPrediction if self._model.upscales_at_once else TorchPrediction
        arrays = (self.streams.receive(tensor.float()) for tensor in (logits, ious))
        return [
            make(low_res_logits, iou_predictions, *sizes)
            for low_res_logits, iou_predictions in zip(*arrays, strict=True)
        ]


def _prepare(
    model: SegmentAnything, factored: FactoredTransformer, embedding: SamEmbedding
) -> ImageTokens:
    """Do the work that all prompts on an image share."""
    return model.prepare(tuple(embedding.maps.values()), factored)
