from pathlib import Path

import numpy as np
import pytest

from napari_seggpt.files import array_digest, safe_name, whole_file, write_whole


def test_a_file_appears_whole_and_replaces_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "labels.bin"
    write_whole(file, b"old")
    with whole_file(file) as draft:
        draft.write_bytes(b"new")
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["labels.bin"]


def test_what_was_not_written_whole_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "labels.bin"
    write_whole(file, b"old")

    def write_by_half() -> None:
        with whole_file(file) as draft:
            draft.write_bytes(b"ne")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_by_half()
    assert file.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["labels.bin"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [("cells: a/b", "cells_ a_b"), ("..", "image"), (" x. ", "x"), ("", "image")],
)
def test_names_are_safe_on_every_file_system(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_a_digest_tells_types_shapes_values_and_order_apart() -> None:
    some, other = np.arange(6, dtype=np.uint8), np.ones(6, np.uint8)
    digests = {
        array_digest(some),
        array_digest(some.reshape(2, 3)),
        array_digest(some.astype(np.uint16)),
        array_digest(other),
        array_digest(some, other),
        array_digest(other, some),
    }
    assert len(digests) == 6
    columns = np.asfortranarray(some.reshape(2, 3))
    assert array_digest(columns) == array_digest(np.ascontiguousarray(columns))
