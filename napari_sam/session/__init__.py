"""The annotation session: image plane, prompts, background jobs, accept and undo; no Qt."""

from napari_sam.session.candidates import Candidates
from napari_sam.session.edits import ArrayPlane, LabelsEdit, LabelsPlane, TargetError
from napari_sam.session.embeddings import load_default_predictor
from napari_sam.session.image_plane import ImageError, ImagePlane
from napari_sam.session.jobs import Dispatcher, run_until
from napari_sam.session.prompts import BACKGROUND, FOREGROUND, Prompts
from napari_sam.session.session import AnnotationSession
from napari_sam.session.state import Phase, SessionState

__all__ = [
    "BACKGROUND",
    "FOREGROUND",
    "AnnotationSession",
    "ArrayPlane",
    "Candidates",
    "Dispatcher",
    "ImageError",
    "ImagePlane",
    "LabelsEdit",
    "LabelsPlane",
    "Phase",
    "Prompts",
    "SessionState",
    "TargetError",
    "load_default_predictor",
    "run_until",
]
