import itertools
import re
from pathlib import Path

import pytest

from napari_seggpt.cli import build_parser
from napari_seggpt.inference import propagation

ROOT = Path(__file__).parents[1]
COMMAND = r"napari-seggpt ((?:predict|evaluate|export|task) [^&]*)"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_example_runs(monkeypatch, capsys):
    (example,) = blocks("python")
    original = propagation.predict_stack

    def first_two_frames(*args, **settings):
        return itertools.islice(original(*args, **settings), 2)

    monkeypatch.setattr(propagation, "predict_stack", first_two_frames)
    monkeypatch.chdir(ROOT)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[0].startswith("1 1 0.")


def commands():
    for block in blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            yield from re.findall(COMMAND, line)


@pytest.mark.parametrize("command", list(commands()))
def test_the_commands_are_understood(command):
    args = build_parser().parse_args(command.split())
    assert callable(args.run)
