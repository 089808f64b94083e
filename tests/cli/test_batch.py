"""The stacks of a folder, one after the other."""

import pytest

from napari_seggpt.cli.batch import each_stack
from napari_seggpt.cli.errors import USER_ERROR


@pytest.fixture
def folder(tmp_path):
    for name in ("a.tif", "b.ome.tif", "c.tiff"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "b.ome.tif: MemoryError"),
        (OSError("two\nlines"), "b.ome.tif: two lines"),
    ],
)
def test_what_fails_keeps_no_other_from_being_done(folder, capsys, error, line):
    done = []

    def label(stack, output):
        if stack.name == "b.ome.tif":
            raise error
        done.append(output.name)
        return 0

    assert each_stack(folder, folder / "out", label) == USER_ERROR
    assert done == ["a.tif", "c.tif"]
    out, err = capsys.readouterr()
    assert err == f"{line}\n"
    assert "2 of 3 stacks" in out


def test_the_output_of_an_earlier_run_is_no_stack(folder):
    stacks = []

    def label(stack, output):
        stacks.append(stack.name)
        output.touch()
        return 0

    for _ in range(2):
        each_stack(folder, folder / "out", label)
    assert stacks == ["a.tif", "b.ome.tif", "c.tiff"] * 2
