"""Read and write annotations in the files of other programs, without Qt, napari or torch.

One function writes a format and one reads it. A file gets its name only once it is complete. All
functions raise `ExportError`, a ValueError whose message says what to do.
"""

from napari_sam.formats.annotations import Annotations, ExportObject
from napari_sam.formats.classes import ObjectClass, classes_of
from napari_sam.formats.coco import read_coco, write_coco
from napari_sam.formats.files import ExportError
from napari_sam.formats.geojson import read_geojson, write_geojson
from napari_sam.formats.image import ImageInfo, plane_name
from napari_sam.formats.imagej_rois import read_imagej_rois, write_imagej_rois
from napari_sam.formats.json_files import json_reader
from napari_sam.formats.label_images import labels_from_objects, objects_from_labels
from napari_sam.formats.measurements import write_measurements
from napari_sam.formats.numpy_files import read_label_npy, read_npz, write_label_npy, write_npz
from napari_sam.formats.png import read_label_png, write_label_png
from napari_sam.formats.prompt_files import PROMPT_SUFFIXES, FilePrompt, PromptKind, read_prompts
from napari_sam.formats.reading import READ_SUFFIXES, read_objects
from napari_sam.formats.registry import FORMATS, Format, find_format
from napari_sam.formats.semantic import semantic_labels, write_legend, write_semantic_png
from napari_sam.formats.tiff import read_label_tiff, write_imagej_tiff, write_ome_tiff
from napari_sam.formats.yolo import read_yolo, read_yolo_classes, write_yolo, write_yolo_classes

__all__ = [
    "FORMATS",
    "PROMPT_SUFFIXES",
    "READ_SUFFIXES",
    "Annotations",
    "ExportError",
    "ExportObject",
    "FilePrompt",
    "Format",
    "ImageInfo",
    "ObjectClass",
    "PromptKind",
    "classes_of",
    "find_format",
    "json_reader",
    "labels_from_objects",
    "objects_from_labels",
    "plane_name",
    "read_coco",
    "read_geojson",
    "read_imagej_rois",
    "read_label_npy",
    "read_label_png",
    "read_label_tiff",
    "read_npz",
    "read_objects",
    "read_prompts",
    "read_yolo",
    "read_yolo_classes",
    "semantic_labels",
    "write_coco",
    "write_geojson",
    "write_imagej_rois",
    "write_imagej_tiff",
    "write_label_npy",
    "write_label_png",
    "write_legend",
    "write_measurements",
    "write_npz",
    "write_ome_tiff",
    "write_semantic_png",
    "write_yolo",
    "write_yolo_classes",
]
