"""Finding everything: the search, what it found, and what becomes of that."""
