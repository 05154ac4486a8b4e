"""Interactive annotation with the Segment Anything Model, live in napari."""

__version__ = "0.1.0"
