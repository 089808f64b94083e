"""The private parts of napari that the dock uses: all of them, each with a test.

napari offers no other way to what they tell, and may change them in any release. Then
the test of the name fails here, before anything that is built on it. A part that is
used and not listed fails, too, as does one that is listed and no longer used.
"""

import ast
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.qt.threading import create_worker
from numpy.testing import assert_allclose, assert_array_equal

import napari_seggpt

PACKAGE = Path(napari_seggpt.__file__).parent

# Name, and what it is used for. The test of `_name` is called `test_name`.
PARTS = {
    "_undo_history": "Labels: what Ctrl+Z would change (ui/layers/napari_undo.py)",
    "_redo_history": "Labels: what Ctrl+Shift+Z would change (the same)",
    "_staged_history": "Labels: the stroke that is being painted (the same)",
    "_data_slice": "Layer: which frames are shown (ui/layers/labels_watcher.py)",
    "_slice_input": "Layer: which axes are shown, and in 3-D (the same)",
    "_transforms": "Layer: where pixels lie, but `affine` (ui/layers/new_labels.py)",
    "_gen": "GeneratorWorker: the generator, to close it (ui/work/jobs.py)",
}


# -- the list is whole -----------------------------------------------------------------


def is_private(name: str) -> bool:
    return name.isidentifier() and name.startswith("_") and not name.startswith("__")


def names_of_our_own() -> Iterator[str]:
    """Yield what the package itself defines."""
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.attr
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def private_names(file: Path) -> Iterator[str]:
    """Yield what looks private in a module: attributes, modules, names in strings."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from filter(is_private, (node.module or "").split("."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from filter(is_private, [node.value])


def test_the_list_is_whole() -> None:
    files = (PACKAGE / "ui").rglob("*.py")
    used = {name for file in files for name in private_names(file)}
    assert used - {*names_of_our_own()} == PARTS.keys()


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_a_test(part: str) -> None:
    assert callable(globals()[f"test{part}"])


# -- each part is as it was ------------------------------------------------------------


@pytest.fixture
def layer() -> Labels:
    return Labels(np.zeros((3, 8, 8), np.uint8))


def box_of(layer: Labels) -> tuple[object, ...]:
    """Paint a dab; return the only atom of the only item of the history."""
    layer.brush_size = 3
    layer.paint((1, 4, 4), 2)
    ((atom,),) = layer._undo_history
    return atom


def test_undo_history(layer: Labels) -> None:
    """A deque of items, each a list of atoms; painting adds a box with a mask."""
    atom = box_of(layer)
    assert isinstance(layer._undo_history, deque)
    box, mask, old, new = atom
    assert all(isinstance(side, slice) for side in box)
    part = np.asarray(layer.data)[box]
    assert mask is None or mask.shape == part.shape
    assert old.shape == (part.shape if mask is None else (mask.sum(),))
    assert new == 2
    kept = np.zeros(part.shape, bool)
    kept[0, 0, 0] = True
    changed = atom._make((box, kept, np.array([7], np.uint8), new))
    layer._undo_history[0][:] = [changed]
    layer.undo()
    assert layer.data[box][0, 0, 0] == 7
    assert layer.data[1, 4, 4] == 2


def test_undo_history_of_pixels(layer: Labels) -> None:
    """`data_setitem` adds coordinates, old values and new values."""
    places = (np.array([0, 1]), np.array([2, 3]), np.array([4, 5]))
    layer.data_setitem(places, 6)
    (((at, old, new),),) = layer._undo_history
    assert_array_equal(at, places)
    assert_array_equal(old, [0, 0])
    assert new == 6


def test_redo_history(layer: Labels) -> None:
    """What was undone goes from one history to the other, and back."""
    box = box_of(layer)[0]
    layer.undo()
    assert isinstance(layer._redo_history, deque)
    assert not layer._undo_history
    ((atom,),) = layer._redo_history
    assert atom[0] == box
    layer.redo()
    assert not layer._redo_history
    assert len(layer._undo_history) == 1


def test_staged_history(layer: Labels) -> None:
    """Within a stroke atoms are staged; at its end they are an item of the history."""
    layer.brush_size = 1
    with layer.block_history():
        layer.paint((1, 4, 4), 2)
        layer.paint((1, 4, 5), 2)
        staged = layer._staged_history
        assert isinstance(staged, list)
        assert len(staged) == 2
        assert not layer._undo_history
    assert not layer._staged_history
    assert len(layer._undo_history) == 1


@pytest.fixture
def viewer(layer: Labels) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_layer(layer)
    return viewer


def test_data_slice(viewer: ViewerModel, layer: Labels) -> None:
    """`point` is the frame that is shown, in pixels; NaN for the axes on the screen."""
    viewer.dims.set_point(0, 2)
    assert_array_equal(layer._data_slice.point, [2, np.nan, np.nan])
    viewer.dims.ndisplay = 3
    assert np.isnan(layer._data_slice.point).all()


def test_slice_input(viewer: ViewerModel, layer: Labels) -> None:
    assert list(layer._slice_input.displayed) == [1, 2]
    assert list(layer._slice_input.order) == [0, 1, 2]
    assert layer._slice_input.ndisplay == 2
    viewer.dims.ndisplay = 3
    assert list(layer._slice_input.displayed) == [0, 1, 2]
    assert layer._slice_input.ndisplay == 3


def test_transforms() -> None:
    """`data2physical` is scale, rotation, shear and translation, but not `affine`."""
    layer = Labels(
        np.zeros((4, 4), np.uint8),
        scale=(2, 3),
        translate=(10, 20),
        affine=[[5, 0, 0], [0, 5, 0], [0, 0, 1]],
    )
    place = layer._transforms["data2physical"](np.array([1.0, 2.0]))
    assert_allclose(place, [12, 26])


@pytest.mark.usefixtures("qapp")
def test_gen() -> None:
    """A worker keeps its generator, which is closed before it is through."""
    closed = []

    def steps() -> Iterator[int]:
        try:
            yield 1
        finally:
            closed.append(True)

    worker = create_worker(steps, _start_thread=False)
    assert next(worker._gen) == 1
    worker._gen.close()
    assert closed == [True]


# -- what is public, but not promised --------------------------------------------------


def test_events_that_tell_of_changes(layer: Labels) -> None:
    """The events of `LabelsWatcher`, in the order that it relies on."""
    told: list[str] = []
    for name in ("paint", "labels_update", "set_data", "data", "visible"):
        getattr(layer.events, name).connect(lambda _, name=name: told.append(name))
    with layer.block_history():
        layer.paint((1, 4, 4), 2)
    assert told == ["labels_update", "paint"]
    told.clear()
    layer.undo()
    assert "set_data" in told
    assert "paint" not in told
    told.clear()
    layer.data = layer.data.copy()
    assert "data" in told
    layer.visible = False
    assert told[-1] == "visible"


def test_keymaps(layer: Labels) -> None:
    """Keys of a layer and of its class are mappings by coerced keys."""
    from napari.utils.key_bindings import coerce_keybinding

    key = coerce_keybinding("Shift-S")
    layer.keymap[key] = lambda _: None
    assert key in layer.keymap
    assert all(coerce_keybinding(str(key)) == key for key in Labels.class_keymap)
