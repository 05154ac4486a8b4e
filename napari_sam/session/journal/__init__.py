"""Every edit of the labels on disk as it is made, and back from there."""
