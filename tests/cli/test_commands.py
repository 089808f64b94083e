import json
import os

import numpy as np
import pytest
import tifffile

from napari_seggpt.cli import benchmark as benchmark_command
from napari_seggpt.cli import info as info_command
from napari_seggpt.cli import main
from napari_seggpt.cli.arguments import load_named_model
from napari_seggpt.model import zoo


def test_a_download_shows_licence_and_progress(monkeypatch, capfd, tiny_model):
    def download(name, *, progress):
        for done in (10, 60, 100):
            progress(done, 100)
        return tiny_model

    monkeypatch.setattr(zoo, "locate", lambda *_, **__: None)
    monkeypatch.setattr(zoo, "load_model", download)
    assert load_named_model("seggpt-vit-large") is tiny_model
    errors = capfd.readouterr().err
    assert "MIT" in errors
    assert "100/100" in errors


def test_benchmark_prints_what_was_measured(monkeypatch, capsys):
    report = {
        "torch": "2", "threads": 2, "matmul_gflops": 100.0,
        "rows": [
            {
                "prompts": 4, "seconds": 1.0, "transformers_seconds": 2.5, "ratio": 2.5,
                "gflops": 80.0, "transformers_gflops": 60.0, "largest_difference": 1e-6,
            }
        ],
    }  # fmt: skip
    monkeypatch.setattr(
        "napari_seggpt.evaluation.benchmarks.benchmark_ensemble",
        lambda prompts, runs, threads: report,
    )
    assert main(["benchmark", "ensemble", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    assert "2.50" in benchmark_command._as_table(report)


def test_info_names_models_and_device(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "builtin" in out
    assert "seggpt-vit-large" in out
    assert "MIT" in out
    assert out.count("good for: ") == 3
    assert out.count("type embedding: instance") == 2
    assert out.count("type embedding: semantic") == 1
    assert out.count("speed here: info --speed measures it") == 3
    assert all(len(line) <= 88 for line in out.splitlines() if line[:4] == "    ")


def test_info_measures_the_models_that_are_here(capsys, monkeypatch, tiny_model):
    from napari_seggpt.cli import arguments

    loaded = []
    monkeypatch.setattr(
        arguments, "load_named_model", lambda name: loaded.append(name) or tiny_model
    )
    monkeypatch.setenv("HF_HOME", "/nowhere")
    monkeypatch.delenv("SEGGPT_WEIGHTS", raising=False)
    assert main(["info", "--speed"]) == 0
    out = capsys.readouterr().out
    assert "builtin" in loaded
    assert out.count(" s a frame of 448 x 448 px with one prompt") == len(loaded)
    assert out.count("not on this computer yet") == 3 - len(loaded)


def test_info_describes_a_stack(stack, capsys):
    assert main(["info", str(stack / "stack.tif")]) == 0
    out = capsys.readouterr().out
    assert "6 frames along z" in out
    assert "40 x 48" in out
    assert "0.25 micrometer" in out


@pytest.mark.parametrize("argv", [[], ["predict"], ["nothing"], ["info", "--x"]])
def test_a_wrong_command_is_one_line(argv, capsys):
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError("0/0"), IndexError])
def test_a_mistake_of_ours_is_one_line_too(monkeypatch, capsys, error):
    def fail(args):
        raise error

    monkeypatch.setattr(info_command, "_describe_installation", lambda **_: fail(None))
    assert main(["info"]) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert "unexpected" in line
    assert "--debug shows where" in line
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        main(["--debug", "info"])


def test_nothing_that_a_terminal_obeys_is_printed(tmp_path, capsys, caplog):
    name = "a\x1b[31m\x07\x1b]0;title\x07.tif"
    assert main(["info", str(tmp_path / name)]) == 2
    tifffile.imwrite(tmp_path / name, np.zeros((2, 8, 9), np.uint8))
    assert main(["info", str(tmp_path / name)]) == 0
    (tmp_path / "b\x1b[31m.tif").write_bytes(b"no TIFF")
    assert main(["info", str(tmp_path / "b\x1b[31m.tif")]) == 2
    printed = "".join(capsys.readouterr())
    assert "\\x1b[31m" in printed
    assert "\x1b" not in printed
    assert "\x07" not in printed


def test_an_error_is_a_line_that_can_be_read(tmp_path, capsys):
    (tmp_path / "a.zarr").mkdir()
    plate = {"plate": {"wells": [{"path": "A" * 100_000}]}}
    text = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": plate})
    (tmp_path / "a.zarr/zarr.json").write_text(text)
    assert main(["info", str(tmp_path / "a.zarr")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a plate with wells AAA" in line
    assert len(line) < 1100


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
@pytest.mark.parametrize(
    "command",
    [
        ["info", "{0}.tif"],
        ["export", "{0}.png", "--table", "{0}.csv"],
        ["predict", "{0}.tif", "--task", "{0}.zip", "--output", "{0}.out.tif"],
        ["predict", "{0}.zarr", "--labels", "{0}.tif", "--output", "{0}.out.tif"],
        ["task", "{0}.tif", "--tuned", "{0}.zip", "--output", "{0}.t.zip"],
        ["predict", "{0}.tif", "--prompt", "{0}.zip", "--output", "{0}.out.tif"],
    ],
)
def test_pipes_are_refused(tmp_path, capsys, command):
    for ending in ("tif", "png", "zip", "zarr"):
        os.mkfifo(tmp_path / f"pipe.{ending}")
    assert main([word.format(tmp_path / "pipe") for word in command]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_debug_shows_where_an_error_came_from(tmp_path):
    with pytest.raises(ValueError, match="none"):
        main(["--debug", "info", str(tmp_path / "none.tif")])
