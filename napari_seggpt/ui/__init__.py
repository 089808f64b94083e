"""The dock in napari: the only code that knows napari, magicgui and Qt."""
