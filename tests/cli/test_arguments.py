"""Flags are made of what settings say, and one that is given counts most."""

import argparse
from dataclasses import dataclass, replace
from typing import Any

import pytest

from napari_seggpt.cli import arguments, build_parser
from napari_seggpt.cli.arguments import flag, numbered, parsed, with_flags
from napari_seggpt.fields import all_fields, value_at, with_value
from napari_seggpt.settings import (
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
    TilingSettings,
    TuningSettings,
)

PATHS = [
    *arguments.MODEL,
    *arguments.PREDICTION,
    *arguments.RANGE,
    *arguments.ORDER,
]
TASK = SessionSettings(
    model="mine.safetensors",
    prediction=PredictionSettings(
        seg_type="instance",
        ensemble="spatial",
        max_prompts=3,
        labels_per_pass=5,
        batch=2,
        device="cpu",
        precision="bfloat16",
        tiling=TilingSettings(enabled=True, scale=2.0, overlap=0.4),
    ),
    propagation=PropagationSettings(
        memory=7, start=2, stop=9, step=3, direction="backward"
    ),
    contrast=ContrastSettings(limits=(3.0, 9.0), percentiles=(1.0, 99.0)),
    corrections_become_references=False,
)


def parse(*flags: object) -> argparse.Namespace:
    command = ["predict", "stack.tif", "--output", "out.tif"]
    return build_parser().parse_args([*command, *map(str, flags)])


def words(path: str, value: Any) -> list[object]:
    """The words of a command line that give a value."""
    name = flag(SessionSettings, path)
    return [name, *value] if isinstance(value, tuple) else [name, value]


@pytest.mark.parametrize("path", PATHS)
def test_a_flag_counts_more_than_a_task_also_if_it_equals_the_default(
    path: str,
) -> None:
    default = all_fields(SessionSettings)[path].default
    given = {"propagation.stop": 4, "contrast.limits": (1.0, 2.0)}.get(path, default)
    assert value_at(TASK, path) != given
    settings = with_flags(parse(*words(path, given)), TASK)
    assert settings == with_value(TASK, path, given)
    assert settings != TASK


@pytest.mark.parametrize("path", PATHS)
def test_a_flag_counts_more_than_the_default(path: str) -> None:
    value = value_at(TASK, path)
    settings = with_flags(parse(*words(path, value)), SessionSettings())
    assert settings == with_value(SessionSettings(), path, value)
    assert settings != SessionSettings()


def test_what_is_not_given_stays_as_it_is() -> None:
    assert with_flags(parse(), TASK) == TASK
    assert with_flags(parse(), SessionSettings()) == SessionSettings()


def test_tuning_flags_are_not_those_of_a_session() -> None:
    command = ["tune", "s.tif", "--output", "o.safetensors"]
    flags = ["--from", "noise", "--image-rate", "0.5", "--seed", "0", "--memory", "2"]
    args = build_parser().parse_args([*command, *flags])
    others = TuningSettings(seed=5, steps=9)
    expected = replace(others, start="noise", image_rate=0.5, seed=0)
    assert with_flags(args, others) == expected
    session = with_flags(args, SessionSettings())
    assert session == with_value(SessionSettings(), "propagation.memory", 2)


@pytest.mark.parametrize(
    ("flags", "tiling", "auto"),
    [
        ([], TASK.prediction.tiling, False),
        (["off"], TilingSettings(enabled=False, scale=2.0, overlap=0.4), False),
        (["auto"], TilingSettings(enabled=False, scale=2.0, overlap=0.4), True),
        (["1"], TilingSettings(enabled=True, scale=1.0, overlap=0.4), False),
        (["auto", "--tiles", "3"], TilingSettings(enabled=True, scale=3.0, overlap=0.4),
         False),
    ],
)  # fmt: skip
def test_tiles_are_on_off_or_taken_as_advised(
    flags: list[str], tiling: TilingSettings, auto: bool
) -> None:
    args = parse(*(["--tiles", *flags] if flags else []))
    assert with_flags(args, TASK).prediction.tiling == tiling
    assert args.auto_tiles is auto


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--memory", 99], "--memory: expected a whole number from 0 to 16, got '99'"),
        (["--memory", 2.5], "expected a whole number from 0 to 16, got '2.5'"),
        (["--batch", "many"], "--batch: expected a whole number of 1 or more"),
        (["--start", -1], "--start: expected a whole number of 0 or more"),
        (["--tiles", "many"], "--tiles: expected off, auto or a number above 0"),
        (["--tiles", "nan"], "--tiles: expected off, auto or a number above 0"),
        (["--direction", "up"], "--direction: invalid choice: 'up'"),
        (["--contrast", 1], "--contrast: expected 2 arguments"),
    ],
)
def test_values_that_a_setting_does_not_take_are_refused(
    capsys: pytest.CaptureFixture[str], flags: list[object], message: str
) -> None:
    with pytest.raises(SystemExit) as error:
        parse(*flags)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_what_is_given_for_a_number_is_split_at_the_first_sign() -> None:
    assert numbered("12=a=b", "LABEL=NAME") == (12, "a=b")
    for text in ("12", "12=", "=a", "x=a", "-1=a", "1.5=a"):
        with pytest.raises(
            argparse.ArgumentTypeError, match=f"LABEL=NAME, got '{text}"
        ):
            numbered(text, "LABEL=NAME")


@pytest.mark.parametrize("limits", [(9, 3), ("nan", 3)])
def test_values_that_do_not_go_together_are_refused(limits: tuple[Any, Any]) -> None:
    args = parse("--contrast", *limits)
    with pytest.raises(ValueError, match="Expected limits as 2 numbers, each above"):
        with_flags(args, SessionSettings())


def test_help_is_that_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["predict", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for path in PATHS:
        field = all_fields(SessionSettings)[path]
        assert f"{flag(SessionSettings, path)} " in shown
        assert " ".join(field.help.split()) in shown
        for choice in field.kind.choices:
            assert choice in shown
    assert "(a whole number from 0 to 16; default: 4)" in shown
    assert "(a whole number of 0 or more; default: none)" in shown
    assert "(default: auto)" in shown


def test_what_was_parsed_becomes_a_frozen_value() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Request:
        each: bool
        prompt: tuple[tuple[str, ...], ...]
        more: int

    args = argparse.Namespace(each=True, prompt=[["a", "b"], ["c"]], other=1)
    assert parsed(Request, args, more=2) == Request(
        each=True, prompt=(("a", "b"), ("c",)), more=2
    )
