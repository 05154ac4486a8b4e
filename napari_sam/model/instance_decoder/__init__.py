"""The decoder of micro-sam that segments all objects of an image without a prompt."""
