"""The image plane: its values, its tiles, and reading it."""
