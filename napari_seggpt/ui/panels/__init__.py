"""The panels of the dock, one for each step of the work."""
