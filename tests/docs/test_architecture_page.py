"""The pages for developers name only files, classes and functions that there are."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "napari_seggpt"
PAGE = ROOT / ".docs" / "architecture.md"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
LIBRARIES = ROOT / ".docs" / "development" / "libraries.md"
SPAN = re.compile(r"`([^`]+)`")
# Words of others, or of a file, that are no names of our code.
FOREIGN = {"[tool.importlinter]", "weights_only", "@pytest.mark.slow"}
IN_THE_NETWORK = {"blocks", "attn", "qkv", "rel_pos_h"}
COMMANDS = {"predict", "evaluate", "benchmark", "paper"}


@cache
def defined_in(file: Path) -> set[str]:
    """Return the names that a module defines, those in classes as `Class.name`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = set(_names(tree.body))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for name in _names(node.body)}
    return names


def _names(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (x.id for x in node.targets if isinstance(x, ast.Name))


def path_of(span: str) -> Path | None:
    """Return the file or folder that a span names, None if it looks like no path."""
    if not re.search(r"/|\.(py|toml|md|yaml)$", span):
        return None
    inside = PACKAGE / span
    return inside if inside.exists() else ROOT / span


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a page and the rows of its tables, without blocks."""
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.split(r"\n\n|\n(?=\||\d\. |- )", without_blocks)


def wrong_spans(text: str) -> list[str]:
    """Return what a page names and there is not.

    A paragraph, or row of a table, that names modules must name what they define;
    another one may name anything that the package defines.
    """
    everywhere = set().union(*map(defined_in, PACKAGE.rglob("*.py")))
    wrong = []
    for line in paragraphs(text):
        spans = [x for x in SPAN.findall(line) if x not in FOREIGN | COMMANDS]
        paths = [path for span in spans if (path := path_of(span)) is not None]
        wrong += [str(path) for path in paths if not path.exists()]
        modules = [path for path in paths if path.suffix == ".py" and path.exists()]
        inside = [path for path in modules if PACKAGE in path.parents]
        known = set().union(*map(defined_in, inside)) if inside else everywhere
        names = [span for span in spans if path_of(span) is None]
        wrong += [x for x in names if x not in known | IN_THE_NETWORK]
    return wrong


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", [PAGE, CONTRIBUTING, LIBRARIES], ids=lambda path: path.name
)
def test_the_page_names_only_what_there_is(path: Path) -> None:
    assert wrong_spans(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "`io/gone.py`",
        "`nowhere/`",
        "`a_function_that_is_gone`",
        "`Session.gone`",
        "`Palette.decode` in `preprocessing.py`",
        "`no name at all`",
    ],
)
def test_what_is_gone_is_found(line: str) -> None:
    assert len(wrong_spans(line)) == 1


def test_every_dependency_is_on_its_page() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    wanted = [
        *project["dependencies"],
        *chain(*project["optional-dependencies"].values()),
    ]
    names = {re.match(r"[\w-]+", each)[0] for each in wanted}
    table = LIBRARIES.read_text(encoding="utf-8").split("## What is not used")[0]
    listed = [row.split("|")[1] for row in table.splitlines() if row.startswith("|")]
    assert names - set(re.findall(r"[\w-]+", " ".join(listed))) == set()


def test_every_room_is_on_the_page(page: str) -> None:
    table = page.split("## Rooms")[1].split("\n\nImports")[0]
    named = {x.rstrip("/") for x in SPAN.findall(table) if x.endswith("/")}
    folders = {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}
    rooms = {folder.relative_to(PACKAGE).as_posix() for folder in folders}
    assert named - {"weights", "napari_seggpt"} == rooms


def test_the_order_of_the_rooms_is_that_of_the_contract(page: str) -> None:
    """The numbered list says what import-linter checks."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    layers = [set(re.findall(r"napari_seggpt\.(\w+)", layer)) for layer in contract]
    listed = [
        {re.sub(r"/$|\.py$", "", span) for span in SPAN.findall(line)}
        for line in re.findall(r"^\d+\. (`.*)$", page, flags=re.MULTILINE)
    ]
    assert listed[: len(layers)] == layers
