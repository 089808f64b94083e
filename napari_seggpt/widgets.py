"""The widgets of napari-seggpt, for scripts that open a viewer of their own.

``viewer.window.add_dock_widget(SegGPTWidget(viewer))`` puts the dock beside its layers.
Importing this module loads napari and Qt.
"""

from napari_seggpt.ui.dock import SegGPTWidget

__all__ = ["SegGPTWidget"]
