"""Qt panels: settings in, signals out; they never see the viewer."""
