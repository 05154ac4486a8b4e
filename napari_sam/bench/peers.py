"""The same workloads in other software with the same weights."""

from __future__ import annotations

import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_sam.bench.options import BenchError
from napari_sam.bench.timing import Subject
from napari_sam.bench.workloads import (
    BATCH,
    FAST_REPEATS,
    ORIGINAL_SIZE,
    POINT_XY,
    Workload,
    batch_xy,
    example_image,
    wait_for,
)
from napari_sam.engine.spec import resized_size
from napari_sam.model.checkpoints.layouts import POSITION_KEYS, to_hugging_face
from napari_sam.model.checkpoints.sam2_layouts import to_hugging_face_2
from napari_sam.model.checkpoints.variants import VARIANTS, SamConfig, detect_variant
from napari_sam.model.onnx.export import OnnxExportError, export_onnx
from napari_sam.model.runtime.devices import PRECISIONS
from napari_sam.model.sam.vit import ViTConfig
from napari_sam.model.sam2.config import Sam2Config
from napari_sam.model.transforms import resize_image, scale_points

if TYPE_CHECKING:
    from napari_sam.model.sam.base import SegmentAnything


def _package(name: str, to_install: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        message = f"The package {name} is missing; run 'pip install {to_install}'."
        raise BenchError(message) from error


def _onnx_session(onnxruntime: Any, path: Path) -> Any:
    """Open a graph on the processor, with as many threads as torch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class OnnxRuntime:
    """Exported graphs in ONNX Runtime, on the processor, with as many threads as torch has."""

    note = (
        "onnxruntime runs the files of 'napari-sam export-onnx' in float32; its decoder always "
        "computes four masks, and takes one prompt at a time"
    )

    def __init__(self, model: SegmentAnything) -> None:
        onnxruntime = _package("onnxruntime", "onnx onnxruntime")
        self._run_options = onnxruntime.RunOptions()
        # Or every run would upscale masks too.
        self._run_options.only_execute_path_to_fetches = True
        with tempfile.TemporaryDirectory() as folder:
            try:
                files = export_onnx(model, Path(folder))
            except OnnxExportError as error:
                raise BenchError(str(error)) from error
            self._encoder, self._decoder = (
                _onnx_session(onnxruntime, path) for path in (files.encoder, files.decoder)
            )
        self._image = example_image()
        self._size = resized_size(ORIGINAL_SIZE, model.image_size)
        mask_size = model.prompts.mask_input_size
        names = [output.name for output in self._encoder.get_outputs()]
        self._feed: dict[str, Any] = dict(zip(names, self.encode(), strict=True)) | {
            "point_labels": np.array([[1, -1]], np.float32),
            "mask_input": np.zeros((1, 1, mask_size, mask_size), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.array(ORIGINAL_SIZE, np.float32),
        }

    def encode(self) -> list[Any]:
        """Resize and embed the image: (1, C, e, e), and two finer maps of SAM 2."""
        resized = resize_image(self._image, self._size).astype(np.float32)
        return list(self._encoder.run(None, {"input_image": resized}))

    def decode(self, point_xy: Any, masks_as: str) -> list[Any]:
        """Decode one click; `masks_as` is "low_res_masks" or "masks"."""
        points = scale_points(np.array([point_xy, (0, 0)], float), ORIGINAL_SIZE, self._size)
        return list(
            self._decoder.run(
                [masks_as, "iou_predictions"],
                self._feed | {"point_coords": points[None]},
                self._run_options,
            )
        )

    def subjects(self) -> dict[Workload, Subject]:
        """Return the workloads."""
        click = Subject(lambda: self.decode(POINT_XY, "low_res_masks"), FAST_REPEATS)
        return {
            Workload.ENCODE: Subject(self.encode),
            Workload.DECODE: click,
            Workload.DECODE_ONE: click,
            Workload.DECODE_BATCH: Subject(
                lambda: [self.decode(point, "low_res_masks") for point in batch_xy()[:, 0]],
                count=BATCH,
            ),
            Workload.DECODE_AND_UPSCALE: Subject(
                lambda: self.decode(POINT_XY, "masks")[0] > 0, FAST_REPEATS
            ),
        }


class OnnxEncoder:
    """An image encoder of others in ONNX Runtime."""

    def __init__(self, model: SegmentAnything, path: Path) -> None:
        self.note = f"{path.name} runs in onnxruntime, in float32"
        self._session = _onnx_session(_package("onnxruntime", "onnxruntime"), path)
        self._model, side = model, model.image_size
        shapes = [given.shape[1:] for given in self._session.get_inputs()]
        if shapes != [[3, side, side]]:
            raise BenchError(
                f"{path.name} takes {shapes}, which is not one normalized square image; name an "
                f"encoder that takes (1, 3, {side}, {side})."
            )
        self._image, self._size = example_image(), resized_size(ORIGINAL_SIZE, side)

    def encode(self) -> Any:
        """Resize, normalize, pad and embed the image."""
        resized = torch.from_numpy(resize_image(self._image, self._size)).permute(2, 0, 1)
        square = self._model.preprocess(resized.to(self._model.pixel_mean.device))
        (given,) = self._session.get_inputs()
        return self._session.run(None, {given.name: square.cpu().numpy()})[0]

    def subjects(self) -> dict[Workload, Subject]:
        """Return the only workload."""
        return {Workload.ENCODE: Subject(self.encode)}


class Transformers:
    """Hugging Face's SamModel with fused attention."""

    def __init__(self, model: SegmentAnything, device: str, precision: str) -> None:
        transformers = _package("transformers", "transformers")
        self._device, self._dtype = device, PRECISIONS[precision]
        self._sam = model
        variant, config = detect_variant(model.state_dict(), "The model")
        self._is_2 = isinstance(config, Sam2Config)
        self._has_encoder = self._is_2 or isinstance(config.image_encoder, ViTConfig)
        kind = "Sam2Model" if self._is_2 else "SamModel"
        self.note = f"transformers runs {kind} with sdpa attention, all prompts in one call" + (
            "" if self._has_encoder else f"; it has no {variant} encoder, so only the rest of it"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._model = self._build(transformers, config)
            self._processor = _image_processor(transformers)
        self._image = example_image()
        self._size = resized_size(ORIGINAL_SIZE, model.image_size)
        noise = torch.randn(1, *model.map_shapes[0], generator=torch.Generator().manual_seed(0))
        self._embedding = self.encode() if self._has_encoder else self._place(noise)

    def _build(self, transformers: Any, config: SamConfig | Sam2Config) -> Any:
        if isinstance(config, Sam2Config):
            state = to_hugging_face_2(self._sam.state_dict())
            theirs = transformers.Sam2Config(**hugging_face_2_shape(config))
        else:
            state = to_hugging_face(self._sam.state_dict())
            state[POSITION_KEYS[1]] = state[POSITION_KEYS[0]]
            theirs = _hugging_face_config(transformers, config.image_encoder, self._sam.image_size)
        with torch.device("meta"):
            model = transformers.AutoModel.from_config(theirs, attn_implementation="sdpa")
        if not self._has_encoder:
            model.vision_encoder = torch.nn.Identity()
        # Sam2Model is without what sequences need.
        state = {name: value for name, value in state.items() if name in model.state_dict()}
        model.load_state_dict(state, strict=True, assign=True)
        return model.eval().to(self._device, self._dtype)

    def _place(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self._device, self._dtype)

    @torch.inference_mode()
    def encode(self) -> Any:
        """Resize and embed the image: (1, C, e, e), or three maps of SAM 2."""
        resized = torch.from_numpy(resize_image(self._image, self._size)).permute(2, 0, 1)
        pixels = self._place(self._sam.preprocess(resized.to(self._sam.pixel_mean.device)))
        embedding = self._model.get_image_embeddings(pixels)
        wait_for(self._device)
        return embedding

    @torch.inference_mode()
    def decode(self, points_xy: Any, multimask_output: bool = True) -> torch.Tensor:
        """Decode clicks (B, 1, 2): logits (1, B, K, 4 e, 4 e) on the processor."""
        points = scale_points(np.asarray(points_xy, float), ORIGINAL_SIZE, self._size)
        result = self._model(
            image_embeddings=self._embedding,
            input_points=self._place(torch.from_numpy(points)[None]),
            input_labels=torch.ones(1, len(points), 1, dtype=torch.int64, device=self._device),
            multimask_output=multimask_output,
        )
        logits: torch.Tensor = result.pred_masks.float().cpu()
        return logits

    def upscale(self, logits: torch.Tensor) -> Any:
        """Upscale (1, 1, K, 4 e, 4 e) logits to the image."""
        if self._is_2:  # in one step, with the padding, which is cut off then
            (height, width), side = ORIGINAL_SIZE, max(ORIGINAL_SIZE)
            square = torch.nn.functional.interpolate(logits[0], (side, side), mode="bilinear")
            return [square[..., :height, :width] > 0]
        return self._processor.post_process_masks([logits[0]], [ORIGINAL_SIZE], [self._size])

    def subjects(self) -> dict[Workload, Subject]:
        """Return the workloads."""
        point = [[POINT_XY]]
        logits = self.decode(point)
        encode = {Workload.ENCODE: Subject(self.encode)} if self._has_encoder else {}
        return encode | {
            Workload.DECODE: Subject(lambda: self.decode(point), FAST_REPEATS),
            Workload.DECODE_ONE: Subject(lambda: self.decode(point, False), FAST_REPEATS),
            Workload.DECODE_BATCH: Subject(lambda: self.decode(batch_xy()), count=BATCH),
            Workload.UPSCALE: Subject(lambda: self.upscale(logits), FAST_REPEATS),
            Workload.DECODE_AND_UPSCALE: Subject(
                lambda: self.upscale(self.decode(point)), FAST_REPEATS
            ),
        }


def _image_processor(transformers: Any) -> Any:
    # From version 5 on, SamImageProcessor needs torchvision; before, it was the only one.
    name = "SamImageProcessorPil"
    return getattr(transformers, name if hasattr(transformers, name) else "SamImageProcessor")()


def hugging_face_2_shape(config: Sam2Config) -> dict[str, Any]:
    """Return the shape of a model of SAM 2 as the config of a ``Sam2Model`` has it."""
    encoder, dim, side = config.image_encoder, config.embed_dim, config.embedding_size
    return {
        "vision_config": {
            "backbone_config": {
                "model_type": "sam2_hiera_det_model",
                "hidden_size": encoder.dim,
                "image_size": [config.image_size] * 2,
                "window_positional_embedding_background_size": [encoder.background] * 2,
                "blocks_per_stage": list(encoder.depths),
                "embed_dim_per_stage": list(encoder.dims),
                "num_attention_heads_per_stage": [encoder.heads * 2**n for n in range(4)],
                "window_size_per_stage": list(encoder.windows),
                "global_attention_blocks": list(encoder.global_blocks),
            },
            "backbone_channel_list": list(reversed(encoder.dims)),
            "backbone_feature_sizes": [[4 * side] * 2, [2 * side] * 2, [side] * 2],
            "fpn_hidden_size": dim,
        },
        "prompt_encoder_config": {"hidden_size": dim, "image_size": config.image_size},
        "mask_decoder_config": {
            "hidden_size": dim,
            "mlp_dim": config.decoder_mlp_dim,
            "num_attention_heads": config.decoder_heads,
            "iou_head_hidden_dim": config.iou_head_hidden_dim,
        },
    }


def hugging_face_2_video_shape(config: Sam2Config) -> dict[str, Any]:
    """Return the shape of a model of SAM 2 as the config of a ``Sam2VideoModel`` has it."""
    dim, side, memory = config.embed_dim, config.embedding_size, config.memory
    assert memory is not None
    return {
        **hugging_face_2_shape(config),
        "image_size": config.image_size,
        "memory_attention_hidden_size": dim,
        "memory_attention_num_layers": memory.layers,
        "memory_attention_feed_forward_hidden_size": memory.mlp_dim,
        "memory_attention_rope_feat_sizes": [side, side],
        "memory_encoder_hidden_size": dim,
        "memory_encoder_output_channels": memory.dim,
        "mask_downsampler_embed_dim": dim,
        "memory_fuser_embed_dim": dim,
        "memory_fuser_intermediate_dim": memory.fuser_ratio * dim,
    }


def _hugging_face_config(transformers: Any, encoder: Any, image_size: int) -> Any:
    """Return the Hugging Face config of a model; of ViT-B for a TinyViT, which it does not have."""
    if not isinstance(encoder, ViTConfig):
        encoder = VARIANTS["vit_b"].image_encoder
    assert isinstance(encoder, ViTConfig)
    return transformers.SamConfig(
        vision_config={
            "hidden_size": encoder.dim,
            "num_hidden_layers": encoder.depth,
            "num_attention_heads": encoder.heads,
            "global_attn_indexes": list(encoder.global_blocks),
            "window_size": encoder.window,
            "mlp_dim": encoder.dim * encoder.mlp_ratio,
            "image_size": image_size,
        },
        prompt_encoder_config={"image_size": image_size},
    )
