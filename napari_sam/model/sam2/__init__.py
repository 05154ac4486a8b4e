"""The networks of SAM 2.1, for images and for sequences of slices or frames."""
