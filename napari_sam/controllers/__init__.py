"""One controller a feature: connects a panel, the layers and the session."""
