"""The `napari-sam` command, one module per subcommand."""
