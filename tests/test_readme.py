import itertools
import re
from pathlib import Path

import pytest

from napari_seggpt.cli import build_parser
from napari_seggpt.inference import labelling
from napari_seggpt.io import open_stack

ROOT = Path(__file__).parents[1]
COMMAND = r"napari-seggpt ((?:predict|evaluate|export|task) [^&]*)"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_example_runs(monkeypatch, capsys, tmp_path):
    (example,) = blocks("python")
    original = labelling.predict_chains

    def first_two_frames(*args, **settings):
        return itertools.islice(original(*args, **settings), 2)

    monkeypatch.setattr(labelling, "predict_chains", first_two_frames)
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("frame 0, 0 of ")
    assert [line.split()[1] for line in said] == ["0,", "1,", "2,"]
    with open_stack("labelled.tif") as result:
        assert all(result[index].any() for index in range(3))


def commands():
    for block in blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            yield from re.findall(COMMAND, line)


@pytest.mark.parametrize("command", list(commands()))
def test_the_commands_are_understood(command):
    args = build_parser().parse_args(command.split())
    assert callable(args.run)
