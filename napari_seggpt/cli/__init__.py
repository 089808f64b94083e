"""The command line: predict, track, tune, task, export, train, evaluate and more."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, NoReturn

from napari_seggpt.cli import (
    benchmark,
    evaluate,
    export,
    info,
    pack,
    paper,
    predict,
    task,
    track,
    train,
    tune,
)
from napari_seggpt.cli.console import warn
from napari_seggpt.cli.errors import BUG, EXPECTED, USER_ERROR, one_line
from napari_seggpt.cli.interrupt import INTERRUPTED
from napari_seggpt.untrusted import safe_message

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    predict,
    track,
    tune,
    task,
    export,
    train,
    pack,
    evaluate,
    paper,
    benchmark,
    info,
)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        text = f"{self.prog}: {safe_message(message)} (--help tells more)\n"
        self.exit(USER_ERROR, text)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="napari-seggpt",
        description="Label a few frames; SegGPT labels the rest of the stack.",
    )
    parser.add_argument(
        "--debug", action="store_true", help="show where an error came from"
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code.

    A mistake of the user, or a damaged file, is one line on the standard error stream,
    and code 2; a mistake of ours is one line too, and code 70.
    """
    logging.basicConfig(handlers=[_handler()], level=logging.WARNING)
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        warn("Stopped.")
        return INTERRUPTED
    except EXPECTED as error:
        if args.debug:
            raise
        warn(f"napari-seggpt: {one_line(error)}")
        return USER_ERROR
    except Exception as error:  # a traceback helps nobody who did not write the code
        if args.debug:
            raise
        warn(
            f"napari-seggpt: unexpected {type(error).__name__}: {one_line(error)} "
            "(napari-seggpt --debug shows where; please report it)"
        )
        return BUG


def _handler() -> logging.Handler:
    """Return what prints messages of the log without what a terminal would obey."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(message)s"))
    return handler


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return safe_message(super().format(record))
