"""check_installed(): what carries a cluster is an extra, and may be missing."""

from __future__ import annotations

from importlib.util import find_spec


def check_installed(purpose: str) -> None:
    """Raise ValueError if dask's package `distributed` is not installed.

    Parameters
    ----------
    purpose : str
        What needs it, as the error says it.
    """
    if find_spec("distributed") is None:
        raise ValueError(
            f"Expected dask's package distributed for {purpose} "
            "(pip install napari-seggpt[distributed]), got none."
        )
