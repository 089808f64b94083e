"""napari's layers; the only room that uses private parts of napari."""
