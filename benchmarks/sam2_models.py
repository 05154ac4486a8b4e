"""Models of SAM 2.1 with random weights, ours and transformers', for the benchmarks beside this."""

import warnings
from dataclasses import dataclass
from typing import Any

from napari_sam.model import Predictor

# isort: split
import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from napari_sam.bench.peers import hugging_face_2_video_shape
from napari_sam.model.build import build_model
from napari_sam.model.checkpoints.sam2_layouts import to_hugging_face_2
from napari_sam.model.sam2.config import Sam2Config
from napari_sam.model.sam2.sam2 import Sam2


def random_model(config: Sam2Config) -> Sam2:
    """Return a model whose weights let all of its parts count."""
    torch.manual_seed(0)
    model = build_model(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            width = parameter[0].numel() if parameter.ndim > 1 else 64
            parameter.normal_(std=width**-0.5)
            if "norm" in name and name.endswith("weight"):
                parameter += 1
    model.fold()
    return model.eval().requires_grad_(False)


def film(side: int, count: int = 2) -> list[NDArray[np.uint8]]:
    """Return frames on which a disc moves."""
    y, x = np.mgrid[:side, :side]
    noise = np.random.default_rng(0).integers(0, 90, (side, side, 3))
    frames = []
    for number in range(count):
        place = side * (0.4 + 0.02 * number)
        disc = (y - place) ** 2 + (x - place) ** 2 < (side / 6) ** 2
        frames.append((noise + 120 * disc[..., None]).astype(np.uint8))
    return frames


def theirs_of(model: Sam2, device: str, dtype: torch.dtype) -> Any:
    """Return the same model as transformers' Sam2VideoModel with fused attention."""
    shape = transformers.Sam2VideoConfig(**hugging_face_2_video_shape(model.config))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = transformers.Sam2VideoModel._from_config(shape, attn_implementation="sdpa")
    weights = to_hugging_face_2(model.state_dict())
    theirs.load_state_dict({name: weights[name] for name in theirs.state_dict()})
    return theirs.eval().requires_grad_(False).to(device, dtype)


@dataclass
class Theirs:
    """A film in transformers, whose frames are encoded before; prompted by a click on frame 0."""

    model: Any
    session: Any

    @classmethod
    def begin(
        cls, model: Any, pixels: torch.Tensor, frames: int, click_xy: tuple[float, float]
    ) -> "Theirs":
        """Begin with frames (n, 3, S, S) that follow each other in turns."""
        from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

        side, device = pixels.shape[-1], pixels.device
        many = pixels[torch.arange(frames) % len(pixels)]
        session = Sam2VideoInferenceSession(
            many,
            *(side, side),
            inference_device=str(device),
            inference_state_device=str(device),
            video_storage_device=str(device),
            dtype=pixels.dtype,
            max_vision_features_cache_size=frames + 1,
        )
        with torch.inference_mode():
            features = [model.get_image_features(one[None], return_dict=True) for one in pixels]
        for number in range(frames):
            part = features[number % len(features)]
            kept = {
                "vision_feats": part.fpn_hidden_states,
                "vision_pos_embeds": part.fpn_position_encoding,
            }
            session.cache.cache_vision_features(number, kept)
        session.obj_id_to_idx(1)
        inputs = {
            "point_coords": torch.tensor([[[click_xy]]], device=device, dtype=pixels.dtype),
            "point_labels": torch.ones(1, 1, 1, dtype=torch.int32, device=device),
        }
        session.add_point_inputs(0, 0, inputs)
        session.obj_with_new_inputs.append(1)
        return cls(model, session)

    def step(self, number: int) -> torch.Tensor:
        """Segment the next frame: its low-res logits."""
        logits: torch.Tensor = self.model(self.session, frame_idx=number).pred_masks[0, 0]
        return logits


def pixels_of(predictor: Predictor, model: Sam2, frames: list[NDArray[np.uint8]]) -> torch.Tensor:
    """Return frames as the networks take them, (n, 3, S, S) in the predictor's precision."""
    parts = [model.preprocess(torch.from_numpy(frame).permute(2, 0, 1))[0] for frame in frames]
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[predictor.precision]
    return torch.stack(parts).to(predictor.device, dtype)
