"""Points, boxes, outlines and scribbles of one object."""
