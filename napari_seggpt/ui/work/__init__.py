"""The session of the chosen layers and its jobs; no widgets."""
