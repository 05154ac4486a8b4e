"""Checkpoint files: read, recognized, converted."""
