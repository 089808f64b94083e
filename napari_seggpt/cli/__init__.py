"""The command line: predict, tune, task, export, train, evaluate, paper and more."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING, NoReturn

from napari_seggpt.cli import (
    benchmark,
    evaluate,
    export,
    info,
    paper,
    predict,
    task,
    train,
    tune,
)
from napari_seggpt.cli.interrupt import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (predict, tune, task, export, train, evaluate, paper, benchmark, info)
USER_ERROR = 2


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER_ERROR, f"{self.prog}: {message} (--help tells more)\n")


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

    A mistake of the user is one line on the standard error stream, and code 2.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        if args.debug:
            raise
        print(f"napari-seggpt: {_one_line(error)}", file=sys.stderr)
        return USER_ERROR


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
