"""Choosing a model, and fetching its file."""
