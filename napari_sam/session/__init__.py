"""The annotation session: image plane, prompts, background jobs, accept and undo; no Qt."""

from napari_sam.session.classes.classes import (
    ClassError,
    Classes,
    ClassTable,
    ObjectClass,
    classes_from_json,
    classes_to_json,
)
from napari_sam.session.classes.editing import ClassEditing
from napari_sam.session.classes.files import CLASS_SUFFIXES, read_classes, write_classes
from napari_sam.session.decoding.bulk import (
    FoundObject,
    ObjectToFind,
    objects_from_prompts,
    region_to_find,
)
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.many import ManyObjects, ManyState
from napari_sam.session.drawn import Outline, OutlineKind, Scribble, axis_aligned_box
from napari_sam.session.embedding.brought import BroughtEmbeddings, BroughtPhase, BroughtState
from napari_sam.session.embedding.embeddings import LoadPredictor
from napari_sam.session.embedding.model_choice import AUTO, ModelChoice, Runtime, load_predictor
from napari_sam.session.embedding.plane_embeddings import PlaneEmbeddings
from napari_sam.session.embedding.preparation import PreparationState, TileToPrepare
from napari_sam.session.embedding.store import EmbeddingStore, StoreUsage
from napari_sam.session.jobs import Dispatcher, Job, Lane, explain, run_until
from napari_sam.session.journal.entries import Direction
from napari_sam.session.journal.files import (
    ImageReference,
    JournalSummary,
    claim,
    discard,
    find_journals,
)
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import JournalContent, read_journal, replay
from napari_sam.session.objects.edits import LabelsEdit, Overlap
from napari_sam.session.objects.labels import (
    ArrayLabels,
    ArrayPlane,
    Labels,
    LabelsPlane,
    TargetError,
)
from napari_sam.session.objects.packed import PackedMask, Start, take_away
from napari_sam.session.objects.painting import Painted, counts_of, recount_painted
from napari_sam.session.objects.records import ObjectBook, ObjectRecord, RecordChange, counted
from napari_sam.session.objects.scanning import find_objects, recounted
from napari_sam.session.plane.image_plane import ImageError, ImagePlane
from napari_sam.session.plane.intensity import (
    MAX_CHANNELS,
    MIN_CHANNELS,
    ChannelAxis,
    Colours,
    ImageRange,
    Intensities,
    Look,
    first_colours,
)
from napari_sam.session.plane.tiles import Tile
from napari_sam.session.prompts import BACKGROUND, FOREGROUND, Prompts
from napari_sam.session.proposals.likeness import Rest
from napari_sam.session.proposals.mask_search import MaskSearch, SearchState
from napari_sam.session.proposals.picture import ProposalPicture, sampled
from napari_sam.session.proposals.proposals import Key, Proposal, in_layers
from napari_sam.session.proposals.review import ProposalReview
from napari_sam.session.proposals.searching import Search, tiles_to_search
from napari_sam.session.proposals.settings import PRESETS, Layering, Preset, SearchSettings
from napari_sam.session.session import AnnotationSession
from napari_sam.session.session_file import (
    SESSION_SUFFIX,
    BeingMade,
    SavedSession,
    SessionFileError,
    SessionInfo,
    fingerprint_of,
    read_session,
    write_session,
)
from napari_sam.session.state import Phase, SessionState

__all__ = [
    "AUTO",
    "BACKGROUND",
    "CLASS_SUFFIXES",
    "FOREGROUND",
    "MAX_CHANNELS",
    "MIN_CHANNELS",
    "PRESETS",
    "SESSION_SUFFIX",
    "AnnotationSession",
    "ArrayLabels",
    "ArrayPlane",
    "BeingMade",
    "BroughtEmbeddings",
    "BroughtPhase",
    "BroughtState",
    "Candidates",
    "ChannelAxis",
    "ClassEditing",
    "ClassError",
    "ClassTable",
    "Classes",
    "Colours",
    "Direction",
    "Dispatcher",
    "EmbeddingStore",
    "FoundObject",
    "ImageError",
    "ImagePlane",
    "ImageRange",
    "ImageReference",
    "Intensities",
    "Job",
    "Journal",
    "JournalContent",
    "JournalSummary",
    "Key",
    "Labels",
    "LabelsEdit",
    "LabelsPlane",
    "Lane",
    "Layering",
    "LoadPredictor",
    "Look",
    "ManyObjects",
    "ManyState",
    "MaskSearch",
    "ModelChoice",
    "ObjectBook",
    "ObjectClass",
    "ObjectRecord",
    "ObjectToFind",
    "Outline",
    "OutlineKind",
    "Overlap",
    "PackedMask",
    "Painted",
    "Phase",
    "PlaneEmbeddings",
    "PreparationState",
    "Preset",
    "Prompts",
    "Proposal",
    "ProposalPicture",
    "ProposalReview",
    "RecordChange",
    "Rest",
    "Runtime",
    "SavedSession",
    "Scribble",
    "Search",
    "SearchSettings",
    "SearchState",
    "SessionFileError",
    "SessionInfo",
    "SessionState",
    "Start",
    "StoreUsage",
    "TargetError",
    "Tile",
    "TileToPrepare",
    "axis_aligned_box",
    "claim",
    "classes_from_json",
    "classes_to_json",
    "counted",
    "counts_of",
    "discard",
    "explain",
    "find_journals",
    "find_objects",
    "fingerprint_of",
    "first_colours",
    "in_layers",
    "load_predictor",
    "objects_from_prompts",
    "read_classes",
    "read_journal",
    "read_session",
    "recount_painted",
    "recounted",
    "region_to_find",
    "replay",
    "run_until",
    "sampled",
    "take_away",
    "tiles_to_search",
    "write_classes",
    "write_session",
]
