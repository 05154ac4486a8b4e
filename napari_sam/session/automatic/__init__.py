"""Automatic masks: the run, the masks on offer, their review, and writing them."""
