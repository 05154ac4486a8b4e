"""Carry an object from annotated slices through a stack."""
