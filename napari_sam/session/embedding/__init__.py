"""From an image plane and a model to its embedding, in the background and kept on disk."""
