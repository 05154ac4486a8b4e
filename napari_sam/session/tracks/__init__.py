"""Tracks: objects through time, and which one divided into which."""
