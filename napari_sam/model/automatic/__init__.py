"""Automatic mask generation with a grid of points, as published."""
