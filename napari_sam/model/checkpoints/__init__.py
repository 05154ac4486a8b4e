"""Checkpoint files: read, recognised, converted."""
