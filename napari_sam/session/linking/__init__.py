"""Masks of separate slices, linked to objects of several slices."""
