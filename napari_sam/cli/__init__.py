"""The `napari-sam` command, one module a subcommand."""
