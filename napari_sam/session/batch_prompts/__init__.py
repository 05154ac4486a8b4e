"""Batch prompts: one object per prompt, in the background."""
