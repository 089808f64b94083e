"""The examples of the documentation run as they are, with a tiny model."""

import csv
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_seggpt import TunedPrompt, open_stack
from napari_seggpt.sample_data import SAMPLES
from napari_seggpt.session.store.task_file import Task

EXAMPLES = Path(__file__).parents[2] / ".docs" / "examples"
pytestmark = pytest.mark.slow
IN_A_WINDOW = {"custom_layer.py"}  # see tests/ui/test_example.py

Run = Callable[[str], str]


@pytest.fixture
def run(
    any_model_is_tiny: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run an example in a folder of its own; return what it printed."""

    def run_example(name: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, str(tmp_path)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run_example


@pytest.fixture
def run_notebook(
    any_model_is_tiny: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run the code of a notebook in a folder of its own; return what it printed."""

    def run_cells(name: str) -> str:
        monkeypatch.chdir(tmp_path)
        names = {"__name__": "__main__"}
        for number, cell in enumerate(cells_of(EXAMPLES / name)):
            if cell["cell_type"] == "code":
                source = "".join(cell["source"])
                exec(compile(source, f"{name}, cell {number}", "exec"), names)
        return capsys.readouterr().out

    return run_cells


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(notebook.read_text("utf-8"))["cells"]
    return cells


def test_label_stack(run: Run, tmp_path: Path) -> None:
    out = run("label_stack.py")
    sample = SAMPLES["cells"]
    with open_stack(tmp_path / "cells_labels.ome.tif", labels=True) as labels:
        assert len(labels) == len(tifffile.imread(sample.path))
        assert labels.pixel_size == pytest.approx(sample.scale)
        truth = tifffile.imread(sample.labels_path)[sample.reference]
        np.testing.assert_array_equal(labels[sample.reference], truth)
    assert out.splitlines()[0] == f"frame {sample.reference}: as it was given"
    assert out.count(" of 11, ") == 11


def test_command_line(run: Run, tmp_path: Path) -> None:
    assert run("command_line.py").count("napari-seggpt ") == 4
    for name in ("cells.png", "nuclei.zip", "others.tif"):
        assert (tmp_path / name).stat().st_size > 0
    with (tmp_path / "objects.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows if row["frame"] == "0"} == {"nucleus"}


def test_tune_and_share(run: Run, tmp_path: Path) -> None:
    out = run("tune_and_share.py")
    assert "step 20: mean Dice" in out
    assert "liver: " in out
    shared = TunedPrompt.load(tmp_path / "organs.safetensors")
    assert dict(shared.class_names) == dict(SAMPLES["organs"].classes)


def test_evaluate_own_data(run: Run) -> None:
    lines = run("evaluate_own_data.py").splitlines()
    assert [line.split(":")[0] for line in lines] == ["seggpt", "copied"]
    assert 0.5 < float(lines[1].split()[-1]) < 1


def test_session(run: Run, tmp_path: Path) -> None:
    out = run("session.py")
    assert "'predicted': 23, 'reference': 1" in out
    assert "is corrected" in out
    assert "undone: 22 frames" in out
    task = Task.load(tmp_path / "organs_task.zip")
    assert len(task.prompts) == 2
    assert task.classes == {1: "liver", 2: "spleen"}


def test_label_a_stack(run_notebook: Run, tmp_path: Path) -> None:
    out = run_notebook("label_a_stack.ipynb")
    sample = SAMPLES["cells"]
    with open_stack(tmp_path / "cells_labels.ome.tif", labels=True) as labels:
        assert labels.pixel_size == pytest.approx(sample.scale)
        truth = tifffile.imread(sample.labels_path)[sample.reference]
        np.testing.assert_array_equal(labels[sample.reference], truth)
    assert out.count(" of 7, ") == 7
    assert "mean Dice of 7 frames: 0." in out


def test_objects_and_tracks(run_notebook: Run, tmp_path: Path) -> None:
    out = run_notebook("objects_and_tracks.ipynb")
    assert "26 objects on frame 0" in out
    with (tmp_path / "tracks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["track"] for row in rows if row["frame"] == "0"} == {
        str(number) for number in range(1, 27)
    }


@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")))
def test_a_notebook_holds_no_results(notebook: Path) -> None:
    for cell in cells_of(notebook):
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_every_example_is_tested_and_on_its_page() -> None:
    tests = {name.removeprefix("test_") for name in globals() if "test_" in name}
    page = (EXAMPLES / "index.md").read_text(encoding="utf-8")
    for file in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb")]:
        assert file.stem in tests or file.name in IN_A_WINDOW
        assert f"<!-- from: .docs/examples/{file.name} -->" in page
