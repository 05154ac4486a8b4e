"""Accepted objects: their records and pixels, what is done to them, undo and redo."""
