"""Frames of a stack labelled by the workers of a dask cluster, here or elsewhere."""
