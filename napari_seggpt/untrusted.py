"""What files from elsewhere say, checked before it is used: JSON, sizes, names."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import psutil

if TYPE_CHECKING:
    import zipfile
    from pathlib import Path

T = TypeVar("T")

MAX_JSON_BYTES = 64 * 2**20  # config files and headers have some kilobytes
MAX_ENTRY_RATIO = 20  # packed text shrinks ten times; a zip bomb, a thousand times
MAX_MESSAGE_LENGTH = 1000  # letters; the path of a file may take some hundreds
# Some spreadsheets read full-width signs as the usual ones, and skip white space.
FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


def check_regular(path: Path) -> None:
    """Refuse what is neither a file nor a folder: reading a pipe may never end.

    Raises
    ------
    ValueError
        If the path is a pipe, a socket or a device.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(
            f"Expected a file or folder, got {path}, which is a pipe or a device."
        )


def check_fits_memory(num_bytes: int, what: str) -> None:
    """Refuse to hold more than the computer has free memory.

    Parameters
    ----------
    num_bytes : int
        What is needed.
    what : str
        What is to be held, for the error.

    Raises
    ------
    ValueError
        If it does not fit.
    """
    free = psutil.virtual_memory().available
    if num_bytes > free:
        raise ValueError(
            f"Expected {what} to fit into the free memory of {free / 1e9:.1f} GB, "
            f"got {num_bytes / 1e9:.1f} GB."
        )


def parse_json(text: str | bytes, kind: type[T]) -> T:
    """Read JSON as values of the types that are expected, and nothing else.

    Whole numbers are no floats and no booleans, and NaN is no number. Fields of a
    dataclass that it does not know are left out.

    Parameters
    ----------
    text : str or bytes
        The JSON.
    kind : type
        A dataclass, or built-in types such as ``dict[str, Any]``.

    Raises
    ------
    ValueError
        If the text is no JSON, or says anything else.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (ValueError, TypeError) as error:
        raise ValueError(_sentence(error)) from None
    except RecursionError:
        raise ValueError("Expected simple JSON, got one nested too deep.") from None


def read_json(path: Path, kind: type[T]) -> T:
    """Read a JSON file; see `parse_json`.

    Raises
    ------
    ValueError
        If it is no file, too long, no JSON, or says anything else.
    OSError
        If it cannot be read.
    """
    check_regular(path)
    with path.open("rb") as file:
        text = file.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(
            f"Expected at most {MAX_JSON_BYTES} bytes of JSON, got more in {path.name}."
        )
    try:
        return parse_json(text, kind)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def as_type(values: object, kind: type[T]) -> T:
    """Return values that JSON held as the types that are expected; see `parse_json`.

    Raises
    ------
    ValueError
        If they are anything else.
    """
    try:
        return msgspec.convert(values, type=kind, str_keys=True)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(_sentence(error)) from None


def _sentence(error: Exception) -> str:
    text = str(error).replace("`", "").removesuffix(".")
    is_sentence = text.startswith("Expected")
    return f"{text}." if is_sentence else f"Expected sound values, got: {text}."


def read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a file of a zip, unless it is a bomb: small in the zip, huge outside.

    Raises
    ------
    KeyError
        If there is no such file.
    ValueError
        If it announces far more bytes than are there, or is damaged.
    """
    entry = archive.getinfo(name)
    if entry.file_size > 2**20 + MAX_ENTRY_RATIO * entry.compress_size:
        raise ValueError(
            f"Expected a file of at most {MAX_ENTRY_RATIO} times its packed size, got "
            f"{name} of {entry.file_size} bytes in {entry.compress_size}."
        )
    check_fits_memory(entry.file_size, name)
    try:
        return archive.read(entry)
    except (zlib.error, NotImplementedError, EOFError, OSError) as error:
        raise ValueError(f"Expected {name} whole, got: {error}") from error


def printable(text: str) -> str:
    """Return a text without what a terminal would obey, such as colours or bells.

    Control characters, and others that are no text, are written as escapes; line
    breaks and tabs stay.
    """
    return "".join(
        char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1]
        for char in text
    )


def shortened(text: str) -> str:
    """Return a message without its middle if a file has put a whole book into it."""
    if len(text) <= MAX_MESSAGE_LENGTH:
        return text
    half = MAX_MESSAGE_LENGTH // 2
    return f"{text[:half]} ... {text[-half:]}"


def safe_message(text: str) -> str:
    """Return a message that may quote a file as it can be shown: short and printable.

    Errors name what they have found, so that a file from elsewhere decides what a
    terminal or a window would show, and how much of it.
    """
    return printable(shortened(text))


def safe_cell(value: Any) -> Any:
    """Return the cell of a table so that no spreadsheet takes a text for a formula."""
    if not isinstance(value, str):
        return value
    is_formula = value.lstrip().startswith(FORMULA_STARTS)
    return f"'{value}" if is_formula or value[:1] in ("\t", "\r", "\n") else value
