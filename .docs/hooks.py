"""Parts of the documentation that come from elsewhere: a page marks where.

A comment such as ``<!-- from: command line -->`` is replaced when the site is built, so
that nothing is written twice. The paragraph directly below it, which tells a reader of
the bare page where to look, is replaced with it. mkdocs calls `on_page_markdown` for
every page.
"""

from __future__ import annotations

import argparse
import json
import re
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from napari_seggpt.cli import build_parser

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"^<!-- from: (.+?) -->$(?:\n.+)*", re.MULTILINE)
PLACES = {  # of links in files that do not lie where their page does
    "(../.docs/": "(../",
    "(CODE_OF_CONDUCT.md)": "(code-of-conduct.md)",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with all that it takes from elsewhere."""
    return MARK.sub(lambda mark: taken_from(mark[1]), markdown)


def taken_from(source: str) -> str:
    """Return Markdown from a source: the command line, a module, or a file."""
    if source == "command line":
        return command_line()
    if source.startswith("napari_seggpt."):
        return docstring(source)
    if source.endswith(".py"):
        return script(source)
    if source.endswith(".ipynb"):
        return notebook(source)
    return file_text(source)


def command_line() -> str:
    """Return what `--help` says of every command."""
    commands = next(
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    parts = []
    for name, parser in commands.items():
        parser.formatter_class = partial(argparse.HelpFormatter, width=80)
        parser.color = False  # since Python 3.14
        parts.append(f"## {name}\n\n```text\n{parser.format_help()}```\n")
    return "\n".join(parts)


def docstring(module: str) -> str:
    """Return the docstring of a module, its definitions as Markdown."""
    text = import_module(module).__doc__ or ""
    text = text.replace("``", "`")
    # A line, and indented lines below it that say what it is.
    return re.sub(r"^(\S.*)\n    (?=\S)", r"\1\n:   ", text, flags=re.MULTILINE)


def script(path: str) -> str:
    """Return a script, with what its docstring says above it."""
    text = (ROOT / path).read_text(encoding="utf-8")
    said, code = text.removeprefix('"""').split('"""\n', maxsplit=1)
    said = said.replace("``", "`")
    return f"{said}\n```python\n{code.strip()}\n```\n"


def notebook(path: str) -> str:
    """Return the cells of a notebook but its title, which the page has."""
    cells = json.loads((ROOT / path).read_text(encoding="utf-8"))["cells"]
    parts = []
    for cell in cells:
        text = "".join(cell["source"])
        is_code = cell["cell_type"] == "code"
        parts.append(f"```python\n{text}\n```" if is_code else text)
    return re.sub(r"\A# .*\n", "", "\n\n".join(parts)) + "\n"


def file_text(path: str) -> str:
    """Return a file without its title, which the page has."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for old, new in PLACES.items():
        text = text.replace(old, new)
    return re.sub(r"\A# .*\n", "", text)
