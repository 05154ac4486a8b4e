"""From an embedding and prompts to ranked masks, for one object or for many."""
