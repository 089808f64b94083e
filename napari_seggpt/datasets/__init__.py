"""Data sets as they are published, read a sample at a time; no torch, no napari."""
