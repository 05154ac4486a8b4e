"""The classes that other objects have, as far as those classed by the user tell."""
