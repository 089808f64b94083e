"""Runs of a model over the frames; nothing here writes labels."""
