"""The stacks of a folder, one after the other."""

import shutil

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


@pytest.mark.parametrize(
    "labels", ["{name}_of.tif", "{name}_of.zarr", "{name}.zarr", "labels/{name}.tif"]
)
def test_labels_beside_the_stacks_are_no_stacks(folder, labels):
    (folder / "d").mkdir()
    for name in ("a", "b", "c", "d"):
        path = folder / labels.format(name=name)
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if path.suffix == ".zarr" else path.touch()
    (folder / "other_of.tif").touch()
    stacks = []

    def label(stack, output):
        stacks.append(stack.name)
        return 0

    each_stack(
        folder,
        folder / "out",
        label,
        labels_of=lambda name: folder / labels.format(name=name),
    )
    assert stacks == ["a.tif", "b.ome.tif", "c.tiff", "d", "other_of.tif"]


def test_predict_takes_no_labels_for_stacks(run, stack):
    (stack / "many").mkdir()
    shutil.copy(stack / "stack.tif", stack / "many" / "a.tif")
    shutil.copy(stack / "labels.tif", stack / "many" / "a_labels.tif")
    code, out, errors = run(
        "predict", stack / "many", "--each", "--frames", 1, "--stop", 1,
        "--labels", stack / "many" / "{name}_labels.tif", "--output", stack / "results",
    )  # fmt: skip
    assert code == 0, errors
    assert "1 of 1 stack labelled" in out
    assert [file.name for file in (stack / "results").iterdir()] == ["a.tif"]


def test_every_ending_that_predict_reads_is_a_stack(tmp_path):
    names = ["a.btf", "b.TF8", "c.ome.btf", "d.zarr"]
    for name in names:
        (tmp_path / name).touch()
    outputs = []

    def label(stack, output):
        outputs.append((stack.name, output.name))
        return 0

    each_stack(tmp_path, tmp_path / "out", label)
    assert outputs == [(name, f"{name[0]}.tif") for name in names]
