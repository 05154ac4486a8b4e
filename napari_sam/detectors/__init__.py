"""Find objects by words, with models of the package transformers (the extra `text`).

Nothing here imports torch or transformers before a detector is loaded.
"""

from napari_sam.detectors.load import DetectorError, load_detector, require_transformers

__all__ = ["DetectorError", "load_detector", "require_transformers"]
