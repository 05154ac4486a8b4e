"""Which model is in use, and how it is obtained."""
