"""Keys: none of napari's is taken, and all are given back."""

import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.shortcuts import default_shortcuts

from napari_seggpt.ui.keys import KEYS, SHIFT, KeyBindings, with_key


def key(name):
    return coerce_keybinding(KEYS[name].replace("+", "-"))


def test_no_default_of_napari_is_overridden():
    taken = {str(k) for keys in default_shortcuts.values() for k in keys}
    assert not taken & {str(key(name)) for name in KEYS}
    for provider in (ViewerModel, Image, Labels, Points, Shapes):
        assert not {key(name) for name in KEYS} & provider.class_keymap.keys()


def test_keys_are_bound_and_released():
    viewer, done = ViewerModel(), []
    actions = {name: lambda name=name: done.append(name) for name in KEYS}
    keys = KeyBindings(viewer, actions)
    assert not keys.taken
    for name in KEYS:
        viewer.keymap[key(name)](viewer)
    assert done == list(KEYS)
    keys.release()
    assert not viewer.keymap


def test_a_key_of_somebody_else_is_left_alone():
    viewer = ViewerModel()

    def theirs(viewer):
        """Another plugin's."""

    viewer.bind_key("Shift-S", theirs)
    keys = KeyBindings(viewer, {"frame": print, "approve": print})
    assert keys.taken == ["frame"]
    viewer.bind_key("Shift-K", theirs, overwrite=True)
    keys.release()
    assert viewer.keymap == {key("frame"): theirs, key("approve"): theirs}


@pytest.mark.parametrize("name", KEYS)
def test_buttons_name_their_keys(name, qapp):
    assert with_key("Do", name).startswith("Do [")
    assert with_key("Do", name).endswith(f"{SHIFT}{KEYS[name][-1]}]")
