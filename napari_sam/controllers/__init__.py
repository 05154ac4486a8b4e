"""One controller per feature: connects a panel, the layers and the session."""
