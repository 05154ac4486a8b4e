"""The published models, their files on this computer, and verified downloads.

Nothing here imports torch, so listing models is quick.
"""
