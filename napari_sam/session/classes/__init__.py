"""The classes of objects, what is done to them, and their files."""
