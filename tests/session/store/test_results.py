"""The labels of a saved session: what of them cannot be read is told in one line."""

import json
import os

import numpy as np
import pytest
import zarr
from numcodecs import Blosc
from numpy.testing import assert_array_equal

from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.frames.status import FrameRecord
from napari_seggpt.session.store import results
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.errors import SessionError
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.results import SessionLabels
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.state import SessionState

LENGTH, SIDE = 3, 8


@pytest.fixture
def labels():
    array = np.zeros((LENGTH, SIDE, SIDE), np.uint16)
    array[:, 2:5, 2:5] = 7
    return array


@pytest.fixture
def saved(tmp_path, labels):
    """Return the folder of a session, and that of the zarr that its labels are in."""
    path = tmp_path / "a::b.zarr"
    path.mkdir()
    array = zarr.create_array(
        zarr.storage.LocalStore(path), shape=labels.shape, chunks=(1, SIDE, SIDE),
        dtype="u2", zarr_format=2, compressors=Blosc(),
    )  # fmt: skip
    array[:] = labels
    signature = ImageSignature.of(np.zeros(labels.shape), "axis 0")
    store = SessionStore(tmp_path / "s", signature, str(path))
    store.note(1, FrameRecord(checksum=checksum(labels[1]), is_reference=True))
    store.write_state(SessionState(), About())
    store.close()
    return tmp_path / "s", path


def refuse(session, words):
    with pytest.raises(SessionError, match=words) as caught:
        SessionLabels(session)[1]
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_labels_in_a_zarr_are_read(saved, labels):
    found = SessionLabels(saved[0])
    assert_array_equal(np.stack([found[i] for i in range(LENGTH)]), labels)
    assert found.whole_references() == [1]


@pytest.mark.parametrize(
    "change",
    [
        None,
        [],
        "x",
        {"shape": 3},
        {"shape": [3, None, 8]},
        {"shape": [3, 2**40, 2**40], "chunks": [1, 2**40, 2**40]},
        {"chunks": [0, 0, 0]},
        {"dtype": 7},
        {"dtype": "<f4"},
        {"compressor": {"id": "nothing"}},
        {"shape": [2, 8, 8]},
        {"shape": [], "chunks": []},
    ],
    ids=str,
)
def test_odd_metadata_is_refused(saved, change):
    session, path = saved
    content = change
    if isinstance(change, dict):
        content = json.loads((path / ".zarray").read_text()) | change
    (path / ".zarray").write_text(json.dumps(content))
    refuse(session, "Expected (the )?labels of")


# A header of Blosc that declares -1 bytes is told by a SystemError.
@pytest.mark.parametrize("start", [b"no chunk", b"\x02\x01\x21\x02" + b"\xff" * 8])
def test_a_damaged_frame_is_named(saved, labels, start):
    session, path = saved
    chunk = path / "1.0.0"
    chunk.write_bytes(start + chunk.read_bytes()[len(start) :])
    refuse(session, "the labels of frame 1 of s to be readable")
    assert_array_equal(SessionLabels(session)[2], labels[2])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_no_chunk(saved):
    session, path = saved
    (path / "1.0.0").unlink()
    os.mkfifo(path / "1.0.0")
    refuse(session, "a pipe or a device")


@pytest.fixture
def in_files(tmp_path, labels):
    """Return the folder of a session whose labels are in files, a frame each."""
    store = SessionStore(tmp_path / "f", ImageSignature.of(np.zeros(labels.shape), "0"))
    for index in range(LENGTH):
        record = FrameRecord(
            checksum=checksum(labels[index]), is_reference=index == 1, is_asked=True
        )
        store.write_frame(index, labels[index], record)
    store.write_state(SessionState(), About())
    store.close()
    return tmp_path / "f"


def test_labels_and_facts_of_a_frame_are_read_at_once(in_files, labels, monkeypatch):
    reads = []
    read = results.read_frame

    def noting(index, *args):
        reads.append(index)
        return read(index, *args)

    monkeypatch.setattr(results, "read_frame", noting)
    found = SessionLabels(in_files)
    for index in range(LENGTH):
        assert_array_equal(found[index], labels[index])
        status = found.facts(index)["status"]
        assert (status == "reference") == (index == 1)
    assert reads == [0, 1, 2]
    assert SessionLabels(in_files).whole_references() == [1]
    assert reads == [0, 1, 2, 0]  # the first tells the shape of frames


def test_a_frame_whose_file_is_damaged_is_no_reference(in_files):
    (file,) = in_files.rglob("000001.tif")
    file.write_bytes(b"no tiff")
    assert SessionLabels(in_files).whole_references() == []
