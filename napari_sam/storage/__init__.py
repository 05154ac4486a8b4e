"""Files that are written whole or not at all, folders, names of files, web, text and JSON."""
