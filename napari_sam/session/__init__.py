"""The annotation session: image plane, prompts, background jobs, accept and undo; no Qt."""

from napari_sam.formats.classes import ObjectClass
from napari_sam.session.automatic.examples import LikeMask, examples_of, find_like
from napari_sam.session.automatic.rest import find_rest
from napari_sam.session.batch_prompts.decode import BatchPrompt, decode_batch_prompts
from napari_sam.session.classes.classes import Classes
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.embedding.embeddings import Embedder
from napari_sam.session.embedding.phase import Phase
from napari_sam.session.embedding.store import EmbeddingStore
from napari_sam.session.image.image_plane import ImageError, ImagePlane
from napari_sam.session.jobs import Dispatcher
from napari_sam.session.journal.session_file import read_session, write_session
from napari_sam.session.learning.learned_file import read_learned, write_learned
from napari_sam.session.models.model_choice import AUTO, ModelChoice
from napari_sam.session.objects.edits import LabelsEdit, Overlap
from napari_sam.session.objects.labels import (
    ArrayLabels,
    ArrayPlane,
    ArraySlice,
    Labels,
    TargetError,
)
from napari_sam.session.objects.records import ObjectRecord
from napari_sam.session.objects.slices import Origin
from napari_sam.session.plane_request import PlaneRequest
from napari_sam.session.prompts.prompts import BACKGROUND, FOREGROUND, Prompts
from napari_sam.session.prompts.shapes import Outline, OutlineKind, Scribble
from napari_sam.session.propagation.projection import Projection
from napari_sam.session.propagation.propagate import propagate
from napari_sam.session.propagation.remembering import Remembering
from napari_sam.session.propagation.slice_mask import SliceMask
from napari_sam.session.session import AnnotationSession
from napari_sam.session.stack import ArrayStack, stack_planes
from napari_sam.session.state import SessionState
from napari_sam.session.tracks.editing import TrackEditing
from napari_sam.session.tracks.lineage import Lineages
from napari_sam.session.tracks.link_labels import link_labels

__all__ = [
    "AUTO",
    "BACKGROUND",
    "FOREGROUND",
    "AnnotationSession",
    "ArrayLabels",
    "ArrayPlane",
    "ArraySlice",
    "ArrayStack",
    "BatchPrompt",
    "Candidates",
    "Classes",
    "Dispatcher",
    "Embedder",
    "EmbeddingStore",
    "ImageError",
    "ImagePlane",
    "Labels",
    "LabelsEdit",
    "LikeMask",
    "Lineages",
    "ModelChoice",
    "ObjectClass",
    "ObjectRecord",
    "Origin",
    "Outline",
    "OutlineKind",
    "Overlap",
    "Phase",
    "PlaneRequest",
    "Projection",
    "Prompts",
    "Remembering",
    "Scribble",
    "SessionState",
    "SliceMask",
    "TargetError",
    "TrackEditing",
    "decode_batch_prompts",
    "examples_of",
    "find_like",
    "find_rest",
    "link_labels",
    "propagate",
    "read_learned",
    "read_session",
    "stack_planes",
    "write_learned",
    "write_session",
]
