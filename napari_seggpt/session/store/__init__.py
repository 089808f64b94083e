"""Sessions and tasks on disk; only this room knows their file formats."""
