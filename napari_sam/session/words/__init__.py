"""Objects that words name: found by a detector, in tiles, chosen among by clicks."""
