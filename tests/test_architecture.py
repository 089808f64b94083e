"""What importing the package may load, and what its public names are."""

import json
import subprocess
import sys

import pytest

import napari_seggpt

HEAVY = ["torch", "transformers", "napari", "qtpy", "magicgui"]
TOOLKITS = ["PyQt5", "PyQt6", "PySide2", "PySide6"]
WITHOUT_TORCH = [
    "datasets",
    "fields",
    "files",
    "frames",
    "io",
    "metrics.objects",
    "metrics.pixels",
    "overlay",
    "palette",
    "preprocessing",
    "prompts",
    "sample_data",
    "settings",
]


def loaded_after(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter; return the modules it loaded."""
    script = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(result.stdout))


def test_importing_the_package_loads_nothing_but_itself() -> None:
    loaded = loaded_after("import napari_seggpt; dir(napari_seggpt)")
    assert not loaded & {*HEAVY, *TOOLKITS, "numpy"}
    own = {name for name in loaded if name.startswith("napari_seggpt")}
    assert own == {"napari_seggpt"}


def test_frames_files_and_palettes_need_no_torch() -> None:
    names = ", ".join(f"napari_seggpt.{name}" for name in WITHOUT_TORCH)
    loaded = loaded_after(f"import {names}")
    assert {f"napari_seggpt.{name}" for name in WITHOUT_TORCH} <= loaded
    assert not loaded & {*HEAVY, *TOOLKITS}


def test_a_public_name_loads_only_its_own_module() -> None:
    loaded = loaded_after("import napari_seggpt; napari_seggpt.Palette")
    assert "napari_seggpt.palette" in loaded
    assert "napari_seggpt.preprocessing" not in loaded


@pytest.mark.parametrize("name", napari_seggpt.__all__)
def test_public_names_are_what_they_are_called(name: str) -> None:
    assert getattr(napari_seggpt, name).__name__ == name
    assert name in dir(napari_seggpt)


def test_other_names_are_refused() -> None:
    assert napari_seggpt.__version__.count(".") >= 1
    with pytest.raises(AttributeError, match="has no attribute 'Prompter'"):
        _ = napari_seggpt.Prompter
