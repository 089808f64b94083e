"""OME-Zarr whose metadata says what no file can hold."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from napari_seggpt.io import StackError, ome_zarr, open_stack

if TYPE_CHECKING:
    from pathlib import Path

AXES = [{"name": "z"}, {"name": "y", "unit": "micrometer"}, {"name": "x"}]
DATASET = {
    "path": "0",
    "coordinateTransformations": [{"type": "scale", "scale": [2, 0.5, 0.5]}],
}


@pytest.fixture
def path(tmp_path: Path, zyx: np.ndarray) -> Path:
    path = tmp_path / "a.zarr"
    group = zarr.create_group(str(path))
    array = group.create_array("0", shape=zyx.shape, chunks=(1, 20, 30), dtype="u2")
    array[:] = zyx
    image = {"axes": AXES, "datasets": [DATASET]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    return path


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def grid(*chunk: int | None) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": chunk}}


def refuse(path: Path, words: str = "a\\.zarr") -> None:
    with pytest.raises(StackError, match=words) as caught:  # noqa: SIM117
        with open_stack(path) as stack:
            stack[0]
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "ome",
    [
        None,
        [],
        3,
        {"multiscales": {"a": 1}},
        {"multiscales": [None]},
        {"multiscales": [{"datasets": []}]},
        {"multiscales": [{"datasets": [{"path": 3}]}]},
        {"multiscales": [{"datasets": [{"path": "../../etc"}]}]},
        {"multiscales": [{"datasets": [DATASET], "axes": None}]},
        {"multiscales": [{"datasets": [DATASET], "axes": [1, 2, 3]}]},
        {"multiscales": [{"datasets": [DATASET], "axes": AXES[:2]}]},
        {"multiscales": [{"datasets": [DATASET], "axes": [AXES[1]] * 3}]},
        {"multiscales": [{"datasets": [DATASET], "axes": [{"name": None}, *AXES]}]},
        {"multiscales": [{"datasets": [DATASET], "axes": [{**AXES[0], "unit": 7}]}]},
        {"multiscales": [{"datasets": [{**DATASET, "coordinateTransformations": 3}]}]},
        {"plate": {"wells": None}},
        {"plate": None},
        {"well": 3},
    ],
    ids=str,
)
def test_odd_metadata_of_an_image(path: Path, ome: Any) -> None:
    change(path / "zarr.json", attributes={"ome": ome})
    refuse(path)


@pytest.mark.parametrize(
    "values",
    [
        {"shape": [10**9, 20, 30]},
        {"shape": [6, 10**9, 10**9]},
        {"shape": [1e30, 20, 30]},
        {"shape": [6.5, 20, 30]},
        {"shape": None},
        {"shape": [-1, 20, 30]},
        {"shape": [0, 20, 30]},
        {"data_type": "complex128"},
        {"data_type": None},
        {"codecs": []},
        {"codecs": [{"name": "nothing"}]},
        {"chunk_grid": grid(0, 0, 0)},
        {"chunk_grid": grid(10**6, 10**6, 10**6)},
        {"chunk_grid": grid(None)},
        {"chunk_grid": None},
        {"fill_value": "nothing"},
        {"node_type": "neither"},
        {"zarr_format": 9},
    ],
    ids=str,
)
def test_odd_metadata_of_an_array(path: Path, values: dict[str, Any]) -> None:
    change(path / "0" / "zarr.json", **values)
    if values == {"data_type": "complex128"}:
        change(path / "0" / "zarr.json", fill_value=[0.0, 0.0])
    refuse(path)


def test_chunks_of_one_pixel(path: Path) -> None:
    values = {"shape": [6, 20_000, 20_000], "chunk_grid": grid(1, 1, 1)}
    change(path / "0" / "zarr.json", **values)
    refuse(path, "at most 100000 chunks a frame")


@pytest.mark.parametrize("file", ["zarr.json", "0/zarr.json"])
@pytest.mark.parametrize(
    "text", ["null", "[]", "[1, 2]", "{", '"x"', "", "[" * 100_000, '{"a":' * 100_000]
)
def test_metadata_that_is_no_object(path: Path, file: str, text: str) -> None:
    (path / file).write_text(text)
    refuse(path)


def test_metadata_without_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (path / "0" / "zarr.json").stat().st_size
    monkeypatch.setattr(ome_zarr, "MAX_JSON_BYTES", size - 1)
    refuse(path, f"at most {size - 1} bytes in zarr.json, got")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_no_chunk(path: Path) -> None:
    chunk = path / "0" / "c" / "0" / "0" / "0"
    chunk.unlink()
    os.mkfifo(chunk)
    done = threading.Event()

    def end_waiting() -> None:  # for a reader that hangs, so that the test ends
        if not done.wait(20):
            os.close(os.open(chunk, os.O_WRONLY))

    thread = threading.Thread(target=end_waiting)
    thread.start()
    refuse(path, "frame 0 of a.zarr .* a pipe or a device")
    done.set()
    thread.join()
    with open_stack(path) as stack:
        assert stack[1].any()
