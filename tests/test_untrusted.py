"""What files from elsewhere say is checked before it is used."""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from napari_seggpt import untrusted
from napari_seggpt.untrusted import (
    as_type,
    check_fits_memory,
    check_regular,
    parse_json,
    printable,
    read_entry,
    read_json,
    safe_cell,
    safe_message,
    shortened,
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    count: int
    rate: float = 1.0
    kind: Literal["a", "b"] = "a"
    names: dict[int, str] | None = None


def test_json_of_the_expected_types() -> None:
    text = '{"count": 3, "rate": 2, "names": {"7": "cell"}, "from_the_future": []}'
    assert parse_json(text, Wanted) == Wanted(count=3, rate=2.0, names={7: "cell"})
    assert as_type({"count": 3, "kind": "b"}, Wanted) == Wanted(count=3, kind="b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"count": 1.0}', "Expected int, got float"),
        ('{"count": true}', "Expected int, got bool"),
        ('{"count": "1"}', "Expected int, got str"),
        ('{"count": 1, "rate": NaN}', "malformed"),
        ('{"count": 1, "rate": 1e999}', "out of range"),
        ('{"count": 1, "kind": "c"}', "'c'"),
        ('{"rate": 1}', "count"),
        ("null", "Expected object, got null"),
        ("[" * 100_000, "got array"),
        ("{", "truncated"),
    ],
)
def test_json_of_other_types(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        parse_json(text, Wanted)
    assert "\n" not in str(caught.value)


def test_json_nested_too_deep() -> None:
    with pytest.raises(ValueError, match="too deep"):
        parse_json('{"a":' * 100_000, dict[str, Any])
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ValueError, match=r"recursion|deep|Expected"):
        as_type({"count": nested}, Wanted)


def test_a_json_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"count": 2}')
    assert read_json(path, Wanted).count == 2
    path.write_text('{"count": 2.5}')
    with pytest.raises(ValueError, match=r"a\.json: Expected int, got float"):
        read_json(path, Wanted)
    monkeypatch.setattr(untrusted, "MAX_JSON_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10 bytes"):
        read_json(path, Wanted)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_and_devices(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="a pipe or a device"):
            check_regular(path)
    check_regular(tmp_path)
    check_regular(tmp_path / "none")


def test_memory_is_bounded() -> None:
    check_fits_memory(1000, "a frame")
    with pytest.raises(ValueError, match=r"a frame to fit .* got 1000000000\.0 GB"):
        check_fits_memory(10**18, "a frame")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(50 * 2**20))
        archive.writestr("text", "some words " * 1000)
    with zipfile.ZipFile(path) as archive:
        assert read_entry(archive, "text").startswith(b"some words")
        with pytest.raises(ValueError, match="times its packed size, got bomb"):
            read_entry(archive, "bomb")
        with pytest.raises(KeyError):
            read_entry(archive, "none")


def test_nothing_that_a_terminal_obeys() -> None:
    assert printable("a\x1b[31mb\x07\x9b\udcff\u202e") == (
        "a\\x1b[31mb\\x07\\x9b\\udcff\\u202e"
    )
    assert printable("µm\n\tkühn 細胞") == "µm\n\tkühn 細胞"


def test_a_message_stays_short() -> None:
    text = f"Expected a number, got {'x' * 10**6} in a.json."
    found = shortened(text)
    assert len(found) < 1100
    assert found.startswith("Expected a number, got xxx")
    assert found.endswith("xxx in a.json.")
    assert shortened("short") == "short"


def test_a_message_that_quotes_a_file_is_short_and_obeyed_by_nothing() -> None:
    text = f"Expected a name, got \x1b[2J{'x' * 10**6}\u202e."
    found = safe_message(text)
    assert found.startswith("Expected a name, got \\x1b[2Jxxx")
    assert found.endswith("xxx\\u202e.")
    assert len(found) < 1100
    assert safe_message("Frame 3 of 細胞.tif is damaged.\n") == (
        "Frame 3 of 細胞.tif is damaged.\n"
    )


@pytest.mark.parametrize(
    "text",
    ["=cmd|' /C calc'!A0", "+1", "-1+2", "@SUM(A1)", "\n=1", " =1", "\tx", "\uff1d1"],
)
def test_no_cell_is_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert safe_cell("nucleus = cell") == "nucleus = cell"
    assert safe_cell(-1.5) == -1.5
