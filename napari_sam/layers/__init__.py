"""The viewer's layers as image, prompts, candidates and target of an annotation session."""

from napari_sam.layers.binding import LayerBinding
from napari_sam.layers.candidate_layers import CANDIDATE_COLOR
from napari_sam.layers.shortcuts import SHORTCUTS

__all__ = ["CANDIDATE_COLOR", "SHORTCUTS", "LayerBinding"]
