"""What settings refuse, and that each says what it does."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from napari_seggpt.fields import own_fields
from napari_seggpt.object_settings import (
    CleanupSettings,
    LinkingSettings,
    ObjectSettings,
)
from napari_seggpt.settings import (
    MAX_LABELS_PER_PASS,
    MAX_MEMORY,
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
    TilingSettings,
    TuningSettings,
)
from napari_seggpt.training.recipe import Recipe

EVERY_KIND = [
    CleanupSettings,
    LinkingSettings,
    ObjectSettings,
    ContrastSettings,
    TilingSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
    TuningSettings,
    Recipe,
]
NAN, INFINITY = float("nan"), float("inf")


def every_field() -> list[Any]:
    return [
        pytest.param(kind, name, id=f"{kind.__name__}.{name}")
        for kind in EVERY_KIND
        for name in own_fields(kind)
    ]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_defaults_are_valid_equal_and_frozen(kind: type) -> None:
    assert kind() == kind()
    assert hash(kind()) == hash(kind())
    with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
        kind().seed = 1


@pytest.mark.parametrize(("kind", "name"), every_field())
def test_every_setting_says_what_it_does(kind: type, name: str) -> None:
    field = own_fields(kind)[name]
    assert field.help.endswith(".")
    assert field.label
    assert f"\n{name} : {field.kind}\n" in (kind.__doc__ or "")
    assert field.default == getattr(kind(), name)


@pytest.mark.parametrize(("kind", "name"), every_field())
def test_values_of_other_types_are_refused(kind: type, name: str) -> None:
    taken = own_fields(kind)[name].kind.type
    wrong: list[Any] = [NAN, INFINITY, -INFINITY, b"x", [[1]], (), {}]
    wrong += {int: [2.0, True, "1"], bool: [1, "yes"], str: [3, True]}.get(taken, [])
    wrong += [True, "1", 10**400] if taken is float else []
    for value in wrong:
        with pytest.raises(ValueError, match=f"Expected {name} as .*, got"):
            replace(kind(), **{name: value})


@pytest.mark.parametrize(
    ("kind", "name", "low", "high"),
    [
        (PropagationSettings, "memory", 0, MAX_MEMORY),
        (PredictionSettings, "labels_per_pass", 1, MAX_LABELS_PER_PASS),
        (TilingSettings, "overlap", 0, 0.5),
        (Recipe, "simulated", 0, 1),
    ],
)
def test_limits_are_taken_and_nothing_beyond(
    kind: type, name: str, low: float, high: float
) -> None:
    for taken in (low, high):
        assert getattr(kind(**{name: taken}), name) == taken
    for beyond in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"from {low} to {high}, got"):
            kind(**{name: beyond})


def test_exclusive_limits_are_not_taken() -> None:
    for wrong in ({"crop": 0.0}, {"pull": 1.0}):
        with pytest.raises(ValueError, match="Expected"):
            TuningSettings(**wrong)
    assert TuningSettings(crop=1.0, pull=0.999).crop == 1


@pytest.mark.parametrize("limits", [(1, 1), (2, 1), (NAN, 1), (0, INFINITY), (1,)])
def test_contrast_limits_are_two_numbers_in_order(limits: Any) -> None:
    with pytest.raises(ValueError, match="Expected limits as 2 numbers, each above"):
        ContrastSettings(limits=limits)
    assert ContrastSettings(limits=(-1000, -10.5)).limits == (-1000, -10.5)


@pytest.mark.parametrize("sizes", [(), (64, 0), (64, 2.0), 64, [[64]]])
def test_image_sizes_are_some_whole_numbers(sizes: Any) -> None:
    with pytest.raises(ValueError, match="Expected image_sizes as 1 or more whole"):
        Recipe(image_sizes=sizes)
    assert Recipe(image_sizes=(64, 96)).image_sizes == (64, 96)


def test_settings_hold_settings_of_their_kind_and_a_model() -> None:
    with pytest.raises(ValueError, match="Expected tiling as settings"):
        PredictionSettings(tiling={"enabled": True})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Expected model as a text, got ''"):
        SessionSettings(model="")


def test_a_range_belongs_to_a_stack() -> None:
    one = PropagationSettings(memory=3, start=2, stop=9, step=2, direction="forward")
    everywhere = SessionSettings(propagation=one).for_any_stack().propagation
    assert everywhere == PropagationSettings(memory=3, direction="forward")


@pytest.mark.parametrize("address", ["tcp://gpu-1.lab.org:8786", "tls://[::1]:80"])
def test_a_scheduler_has_an_address(address: str) -> None:
    assert SessionSettings(scheduler=address).scheduler == address


@pytest.mark.parametrize(
    "text", ["", "gpu", "gpu:8786", "tcp://gpu", "http://gpu:80", "tcp://a b:1", 8786]
)
def test_what_is_no_address_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="Expected scheduler as an address as tcp://"):
        SessionSettings(scheduler=text)


def test_where_a_person_computes_is_for_nobody_else() -> None:
    own = SessionSettings(model="large", scheduler="tcp://gpu:8786")
    assert own.for_any_stack().scheduler == own.scheduler
    assert own.for_anybody() == SessionSettings(model="large")
    assert SessionSettings(model="large").computing_as(own) == own
    assert own.computing_as(SessionSettings()) == own.for_anybody()
