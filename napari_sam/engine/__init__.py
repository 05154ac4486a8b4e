"""The contract between the session and the models that it drives; needs numpy only."""
