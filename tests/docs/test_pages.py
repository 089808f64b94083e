"""What the documentation says is so: its links, commands, scripts and quotes."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import napari_seggpt
from napari_seggpt.cli import build_parser
from napari_seggpt.training.recipe import Recipe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / ".docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted((ROOT / ".github").glob("*.md"))]
PACKAGE = Path(napari_seggpt.__file__).parent


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    """Yield every block of code in a language, and its page."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M):
            yield page, block


def with_ids(found: Iterator[tuple[Path, str]]) -> list[object]:
    return [
        pytest.param(text, id=f"{named(page)}-{number}")
        for number, (page, text) in enumerate(found)
    ]


# -- links -----------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files(page: Path) -> None:
    """As on GitHub; that anchors are there is checked when the site is built."""
    text = page.read_text(encoding="utf-8")
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)\s]+)\)", without_blocks)
    inside = [target.split("#")[0] for target in targets if "://" not in target]
    assert [x for x in inside if x and not (page.parent / x).exists()] == []


def test_what_pages_take_from_elsewhere_is_there(hooks: ModuleType) -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    taken = [mark for text in texts for mark in hooks.MARK.findall(text)]
    assert "command line" in taken
    assert "napari_seggpt/weights/README.md" in taken
    for source in taken:
        assert len(hooks.taken_from(source)) > 200, source


def test_every_command_is_on_its_page(hooks: ModuleType) -> None:
    text = hooks.on_page_markdown("<!-- from: command line -->")
    titles = re.findall(r"^## (\w+)$", text, flags=re.MULTILINE)
    assert {"predict", "tune", "task", "export", "train", "evaluate"} <= {*titles}
    assert "--resume" in text
    assert "\x1b" not in text  # colours of a terminal


def test_definitions_of_docstrings_become_markdown(hooks: ModuleType) -> None:
    text = hooks.docstring("napari_seggpt.session.store.folder")
    assert "`session.json`\n:   JSON object" in text
    assert "``" not in text


# -- code ------------------------------------------------------------------------------


def commands() -> Iterator[tuple[Path, str]]:
    for page, block in blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("napari-seggpt "):
                yield page, line


@pytest.mark.parametrize("command", with_ids(commands()))
def test_commands_are_understood(command: str) -> None:
    args = build_parser().parse_args(shlex.split(command, comments=True)[1:])
    assert callable(args.run)


@pytest.mark.usefixtures("any_model_is_tiny")
@pytest.mark.parametrize("script", with_ids(blocks("python")))
def test_scripts_run(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "a page", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("text", with_ids(blocks("json")))
def test_recipes_are_recipes(text: str) -> None:
    assert Recipe(**json.loads(text))


# -- quotes ----------------------------------------------------------------------------


def texts_of_the_package() -> list[str]:
    """Return all strings of the package, their parts joined as Python does."""
    trees = (ast.parse(file.read_text("utf-8")) for file in PACKAGE.rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    values = (node.value for node in nodes if isinstance(node, ast.Constant))
    return [value for value in values if isinstance(value, str)]


def test_errors_are_quoted_as_they_are() -> None:
    """Each title of the page is an error; `...` stands for what differs."""
    page = (DOCS / "how-to" / "errors.md").read_text(encoding="utf-8")
    quotes = re.findall(r'^### "(.+)"$', page, flags=re.MULTILINE)
    texts = texts_of_the_package()
    parts = [part.strip() for quote in quotes for part in quote.split("...")]
    assert len(quotes) > 10
    assert [x for x in parts if x and not any(x in text for text in texts)] == []


def test_nothing_is_left_to_be_written() -> None:
    for page in PAGES:
        assert not re.search(r"\b(TODO|TBD|FIXME|XXX)\b", page.read_text("utf-8"))


def test_the_manifest_of_a_cluster_hangs_together() -> None:
    """Its names are those that it refers to; we have no cluster to try it on."""
    ((page, text),) = blocks("yaml")
    manifest = yaml.safe_load(text)
    name, spec = manifest["metadata"]["name"], manifest["spec"]
    for part in ("worker", "scheduler"):
        pod = spec[part]["spec"]
        (container,) = pod["containers"]
        assert container["name"] == part
        assert container["args"][:2] == ["dask", part]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in pod["volumes"]}
    (scheduler,) = spec["scheduler"]["spec"]["containers"]
    service = spec["scheduler"]["service"]
    assert service["selector"]["dask.org/cluster-name"] == name
    ports = {port["name"]: port["containerPort"] for port in scheduler["ports"]}
    assert {x["targetPort"]: x["port"] for x in service["ports"]} == ports
    assert scheduler["readinessProbe"]["httpGet"]["port"] in ports
    assert f"service/{name}-scheduler 8786:8786" in page.read_text(encoding="utf-8")
