"""Read and write annotations in the files of other programs, without Qt, napari or torch.

One function writes a format and one reads it. A file gets its name only once it is complete. All
functions raise `FileError`, a ValueError whose message says what to do.
"""

from napari_sam.formats.annotations import Annotations as Annotations
from napari_sam.formats.annotations import ExportObject as ExportObject
from napari_sam.formats.classes import ObjectClass as ObjectClass
from napari_sam.formats.classes import classes_of as classes_of
from napari_sam.formats.coco import read_coco as read_coco
from napari_sam.formats.coco import write_coco as write_coco
from napari_sam.formats.ctc import check_ctc as check_ctc
from napari_sam.formats.ctc import read_ctc as read_ctc
from napari_sam.formats.ctc import write_ctc as write_ctc
from napari_sam.formats.files import FileError as FileError
from napari_sam.formats.geff import read_geff as read_geff
from napari_sam.formats.geff import write_geff as write_geff
from napari_sam.formats.geojson import read_geojson as read_geojson
from napari_sam.formats.geojson import write_geojson as write_geojson
from napari_sam.formats.image import ImageInfo as ImageInfo
from napari_sam.formats.image import plane_name as plane_name
from napari_sam.formats.imagej_rois import read_imagej_rois as read_imagej_rois
from napari_sam.formats.imagej_rois import write_imagej_rois as write_imagej_rois
from napari_sam.formats.label_images import LabelPlanes as LabelPlanes
from napari_sam.formats.label_images import labels_from_objects as labels_from_objects
from napari_sam.formats.label_images import objects_from_labels as objects_from_labels
from napari_sam.formats.left_out import LeftOut as LeftOut
from napari_sam.formats.measurements import write_measurements as write_measurements
from napari_sam.formats.numpy_files import read_label_npy as read_label_npy
from napari_sam.formats.numpy_files import read_npz as read_npz
from napari_sam.formats.numpy_files import write_label_npy as write_label_npy
from napari_sam.formats.numpy_files import write_npz as write_npz
from napari_sam.formats.png import read_label_png as read_label_png
from napari_sam.formats.png import write_label_png as write_label_png
from napari_sam.formats.prompt_files import PROMPT_SUFFIXES as PROMPT_SUFFIXES
from napari_sam.formats.prompt_files import read_prompts as read_prompts
from napari_sam.formats.prompts import FilePrompt as FilePrompt
from napari_sam.formats.prompts import PromptKind as PromptKind
from napari_sam.formats.reading import READ_SUFFIXES as READ_SUFFIXES
from napari_sam.formats.reading import json_reader as json_reader
from napari_sam.formats.reading import read_choices as read_choices
from napari_sam.formats.reading import read_objects as read_objects
from napari_sam.formats.reading_tracks import read_tracks as read_tracks
from napari_sam.formats.registry import FORMATS as FORMATS
from napari_sam.formats.registry import TRACK_FORMATS as TRACK_FORMATS
from napari_sam.formats.registry import Format as Format
from napari_sam.formats.registry import find_format as find_format
from napari_sam.formats.semantic import semantic_labels as semantic_labels
from napari_sam.formats.semantic import write_legend as write_legend
from napari_sam.formats.semantic import write_semantic_png as write_semantic_png
from napari_sam.formats.tiff import read_label_tiff as read_label_tiff
from napari_sam.formats.tiff import write_imagej_tiff as write_imagej_tiff
from napari_sam.formats.tiff import write_ome_tiff as write_ome_tiff
from napari_sam.formats.track_tables import read_tracks_csv as read_tracks_csv
from napari_sam.formats.track_tables import write_tracks_csv as write_tracks_csv
from napari_sam.formats.trackmate import read_trackmate as read_trackmate
from napari_sam.formats.trackmate import write_trackmate as write_trackmate
from napari_sam.formats.tracks import Tracks as Tracks
from napari_sam.formats.tracks import tracks_of as tracks_of
from napari_sam.formats.yolo import read_yolo as read_yolo
from napari_sam.formats.yolo import read_yolo_classes as read_yolo_classes
from napari_sam.formats.yolo import write_yolo as write_yolo
from napari_sam.formats.yolo import write_yolo_classes as write_yolo_classes
