"""Image embeddings that micro-sam has stored, used once they are known to fit."""
