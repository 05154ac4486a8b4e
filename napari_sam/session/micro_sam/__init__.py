"""Embeddings imported from micro-sam, in place of computing them."""
