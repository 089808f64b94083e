"""Objects: from few class colours to instances, linked along a stack; no torch."""
