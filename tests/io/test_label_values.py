"""Which numbers of a file are label ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_seggpt.io import StackError, open_stack
from napari_seggpt.io.label_values import as_labels, smallest_dtype

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([0, -7], np.int16), np.int16),
        (np.array([0, 2**40], np.int64), np.int64),
        (np.array([0, 2**62], np.uint64), np.int64),
        (np.array([0, 2**63 - 1], np.uint64), np.int64),
        (np.array([0.0, 3.0, -5.0], np.float32), np.int64),
        (np.array([2.0**53, -(2.0**63)]), np.int64),
        (np.array([False, True]), np.uint8),
    ],
)
def test_what_is_kept_exactly(values: np.ndarray, dtype: Any) -> None:
    labels = as_labels(values)
    assert labels.dtype == dtype
    assert [int(x) for x in labels] == [int(x) for x in values]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([0, 2**63], np.uint64), "got 9223372036854775808"),
        (np.array([2.0**63]), "got 9223372036854775808"),
        (np.array([0.5, 1.0]), "whole numbers as labels, got 0.5"),
        (np.array([np.nan]), "whole numbers as labels, got nan"),
        (np.array([np.inf]), "whole numbers as labels, got inf"),
        (np.array([1j]), "Expected label ids, got complex128"),
    ],
)
def test_what_is_refused(values: np.ndarray, words: str) -> None:
    with pytest.raises(StackError, match=words) as caught:
        as_labels(values)
    assert "\n" not in str(caught.value)


def test_a_frame_that_holds_no_labels_is_named(tmp_path: Path) -> None:
    frames = np.zeros((3, 8, 9), np.float32)
    frames[0, 2] = 4
    frames[1, 2] = 0.25
    tifffile.imwrite(tmp_path / "a.tif", frames, photometric="minisblack")
    with open_stack(tmp_path / "a.tif", labels=True) as stack:
        assert (stack.dtype, stack.stored_dtype) == (np.int64, np.float32)
        assert stack[0].dtype == np.int64
        with pytest.raises(StackError, match=r"frame 1 of a\.tif .* got 0\.25"):
            stack[1]


@pytest.mark.parametrize(
    ("ids", "dtype"),
    [
        ([], np.uint8),
        ([255], np.uint8),
        ([256], np.uint16),
        ([2**32 - 1], np.uint32),
        ([2**32], np.int64),
        ([-1, 127], np.int8),
        ([-1, 255], np.int16),
        ([-1, 2**31], np.int64),
    ],
)
def test_the_smallest_type(ids: list[int], dtype: Any) -> None:
    assert smallest_dtype(ids) == dtype
    with pytest.raises(StackError, match="got 0 to 9223372036854775808"):
        smallest_dtype([2**63])
