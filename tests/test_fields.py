"""What annotated types say: which values are taken, in words, and by their paths."""

import json
from dataclasses import asdict, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_seggpt.fields import (
    Kind,
    all_fields,
    markdown_table,
    own_fields,
    value_at,
    with_value,
)
from napari_seggpt.settings import (
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
    TilingSettings,
    TuningSettings,
)
from napari_seggpt.training.recipe import Recipe


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (PropagationSettings, "step", "a whole number of 1 or more"),
        (PropagationSettings, "stop", "a whole number of 0 or more, or none"),
        (TilingSettings, "scale", "a number above 0"),
        (TilingSettings, "enabled", "true or false"),
        (TuningSettings, "crop", "a number above 0 to 1"),
        (TuningSettings, "pull", "a number from 0 to below 1"),
        (PropagationSettings, "direction", "one of both, forward, backward"),
        (SessionSettings, "model", "a text"),
        (
            SessionSettings,
            "scheduler",
            "an address as tcp://host:8786 or tls://host:8786, or none",
        ),
        (
            ContrastSettings,
            "percentiles",
            "2 numbers from 0 to 100, each above the one before",
        ),
        (Recipe, "image_sizes", "1 or more whole numbers of 1 or more"),
    ],
)
def test_values_are_told_in_words(kind: type, name: str, words: str) -> None:
    assert str(own_fields(kind)[name].kind) == words


def test_paths_lead_to_every_value() -> None:
    settings = SessionSettings()
    paths = all_fields(SessionSettings)
    assert "prediction.tiling.scale" in paths
    assert {path.partition(".")[0] for path in paths} == set(asdict(settings))
    for path, field in paths.items():
        assert value_at(settings, path) == field.default
        assert field.path == path
        assert field.name == path.split(".")[-1]
        assert with_value(settings, path, field.default) == settings


def test_a_value_is_replaced_at_its_path_alone() -> None:
    settings = with_value(SessionSettings(), "prediction.tiling.scale", 2.0)
    assert settings.prediction.tiling == TilingSettings(scale=2.0)
    assert with_value(settings, "prediction.tiling.scale", 1.0) == SessionSettings()
    with pytest.raises(ValueError, match="Expected scale as a number above 0"):
        with_value(settings, "prediction.tiling.scale", 0)


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(value=plain | st.tuples(plain, plain) | st.lists(plain))
def test_what_is_accepted_can_be_held_and_nothing_else(value: Any) -> None:
    for kind in (ContrastSettings, TilingSettings, PropagationSettings, TuningSettings):
        for each in fields(kind):
            field = own_fields(kind)[each.name]
            if is_dataclass(field.kind.type):
                continue
            try:
                replace(kind(), **{each.name: value})
            except ValueError:
                assert not field.kind.accepts(field.kind.plain(value))
            else:
                assert field.kind.accepts(field.kind.plain(value))


@pytest.mark.parametrize(
    ("kind", "name", "value", "expected"),
    [
        (PredictionSettings, "max_prompts", np.int64(4), 4),
        (TilingSettings, "scale", np.float32(0.5), 0.5),
        (TilingSettings, "scale", np.int16(2), 2),
        (TilingSettings, "scale", Fraction(1, 2), 0.5),
        (TilingSettings, "enabled", np.bool_(True), True),
        (ContrastSettings, "limits", [0, 255], (0, 255)),
        (ContrastSettings, "limits", np.array([0.5, 9.0]), (0.5, 9.0)),
        (ContrastSettings, "limits", (np.float32(0), np.uint8(9)), (0.0, 9)),
    ],
)
def test_what_programs_compute_is_held_as_plain_values(
    kind: Any, name: str, value: Any, expected: Any
) -> None:
    held = getattr(kind(**{name: value}), name)
    assert held == expected
    assert type(held) is type(expected)
    assert json.loads(json.dumps(held)) == json.loads(json.dumps(expected))
    assert kind(**{name: value}) == kind(**{name: expected})


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (PredictionSettings, "max_prompts", np.float64(4)),
        (PredictionSettings, "max_prompts", np.bool_(True)),
        (PredictionSettings, "max_prompts", [4]),
        (ContrastSettings, "limits", [0, 1, 2]),
        (ContrastSettings, "limits", "01"),
        (ContrastSettings, "limits", np.array(["0", "1"])),
        (TilingSettings, "scale", np.float64("nan")),
    ],
)
def test_what_means_no_such_value_is_refused(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"Expected {name} as"):
        kind(**{name: value})


def test_an_unlimited_number_says_no_limits() -> None:
    assert str(Kind(type=float)) == "a number"


def test_a_table_tells_of_every_setting() -> None:
    rows = markdown_table(SessionSettings).splitlines()
    assert rows[0] == "| setting | what it does | values | default |"
    told = [row.split("`")[1] for row in rows[2:]]
    groups = {
        "prediction", "prediction.tiling", "propagation", "contrast", "objects",
        "objects.linking", "cleanup",
    }  # fmt: skip
    assert told == [path for path in all_fields(SessionSettings) if path not in groups]
    (memory,) = (row for row in rows if row.startswith("| `propagation.memory` |"))
    flagged = markdown_table(SessionSettings, {"propagation.memory": "--memory"})
    assert memory.replace("` |", "`, `--memory` |", 1) in flagged.splitlines()
    assert memory.endswith("| a whole number from 0 to 16 (frames) | `4` |")
