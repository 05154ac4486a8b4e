"""Measure the model and the window on this computer, and compare other software."""
