"""How fast the model and the window are on this computer, beside other software."""
