"""The Segment Anything Model: weights in, masks out; needs torch, but neither Qt nor napari."""

import napari_sam.model.runtime.torch_import  # noqa: F401 - has to come before torch

# isort: split

from napari_sam.engine.masks import MaskCrop
from napari_sam.engine.prediction import MaskPrediction
from napari_sam.model.build import load_model
from napari_sam.model.checkpoints.files import CheckpointError
from napari_sam.model.checkpoints.variants import VARIANTS, SamConfig
from napari_sam.model.embedding import SamEmbedding
from napari_sam.model.predictor import Predictor

__all__ = [
    "VARIANTS",
    "CheckpointError",
    "MaskCrop",
    "MaskPrediction",
    "Predictor",
    "SamConfig",
    "SamEmbedding",
    "load_model",
]
