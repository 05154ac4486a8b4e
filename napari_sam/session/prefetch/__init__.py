"""Planes embedded before they are shown."""
