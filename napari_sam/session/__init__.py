"""The annotation session: image plane, prompts, background jobs, accept and undo; no Qt."""

from napari_sam.session.brought import BroughtEmbeddings, BroughtPhase, BroughtState
from napari_sam.session.bulk import FoundObject, ObjectToFind, objects_from_prompts, region_to_find
from napari_sam.session.candidates import Candidates
from napari_sam.session.class_editing import ClassEditing
from napari_sam.session.class_files import CLASS_SUFFIXES, read_classes, write_classes
from napari_sam.session.classes import (
    ClassError,
    Classes,
    ClassTable,
    ObjectClass,
    classes_from_json,
    classes_to_json,
)
from napari_sam.session.drawn import Outline, OutlineKind, Scribble, axis_aligned_box
from napari_sam.session.edits import LabelsEdit, Overlap
from napari_sam.session.embeddings import LoadPredictor
from napari_sam.session.image_plane import ImageError, ImagePlane
from napari_sam.session.intensity import (
    MAX_CHANNELS,
    MIN_CHANNELS,
    ChannelAxis,
    Colours,
    ImageRange,
    Intensities,
    Look,
    first_colours,
)
from napari_sam.session.jobs import Dispatcher, Job, Lane, explain, run_until
from napari_sam.session.journal import Journal
from napari_sam.session.journal_entries import Direction
from napari_sam.session.journal_files import (
    ImageReference,
    JournalSummary,
    claim,
    discard,
    find_journals,
)
from napari_sam.session.labels import ArrayLabels, ArrayPlane, Labels, LabelsPlane, TargetError
from napari_sam.session.likeness import Rest
from napari_sam.session.many import ManyObjects, ManyState
from napari_sam.session.mask_search import MaskSearch, SearchState
from napari_sam.session.model_choice import AUTO, ModelChoice, Runtime, load_predictor
from napari_sam.session.objects import ObjectBook, ObjectRecord, RecordChange, counted
from napari_sam.session.packed import PackedMask, Start
from napari_sam.session.painting import Painted, distinct, recount_painted
from napari_sam.session.plane_embeddings import PlaneEmbeddings
from napari_sam.session.preparation import PreparationState, TileToPrepare
from napari_sam.session.prompts import BACKGROUND, FOREGROUND, Prompts
from napari_sam.session.proposal_picture import ProposalPicture, sampled
from napari_sam.session.proposal_review import ProposalReview
from napari_sam.session.proposals import Key, Proposal, in_layers
from napari_sam.session.replaying import JournalContent, read_journal, replay
from napari_sam.session.scanning import find_objects, recounted
from napari_sam.session.search_settings import PRESETS, Layering, Preset, SearchSettings
from napari_sam.session.searching import Search, tiles_to_search
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
from napari_sam.session.store import EmbeddingStore, StoreUsage
from napari_sam.session.tiles import Tile

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
    "discard",
    "distinct",
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
    "tiles_to_search",
    "write_classes",
    "write_session",
]
