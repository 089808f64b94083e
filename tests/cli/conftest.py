import numpy as np
import pytest
import tifffile

from napari_seggpt.cli import main
from napari_seggpt.model.checkpoint import save_checkpoint


@pytest.fixture(scope="session")
def model_file(tiny_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(tiny_model, path)
    return str(path)


@pytest.fixture
def stack(tmp_path):
    """Six frames of 40 x 48 with a square that moves; its labels; calibrated."""
    images = np.random.default_rng(0).integers(0, 50, (6, 40, 48)).astype(np.uint16)
    labels = np.zeros((6, 40, 48), np.uint8)
    for index in range(6):
        labels[index, 10 + index : 25 + index, 10:30] = 3
    images += labels * np.uint16(300)
    calibration = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    for name, array in (("stack", images), ("labels", labels)):
        tifffile.imwrite(
            tmp_path / f"{name}.tif",
            array,
            imagej=True,
            resolution=(4.0, 4.0),
            metadata=calibration,
        )
    return tmp_path


@pytest.fixture
def run(capfd, monkeypatch, model_file):
    """Run a command on the tiny model; returns code, output and errors."""

    def run_command(*args, model=True):
        argv = [str(arg) for arg in args]
        if model:
            argv += ["--model", model_file]
        try:
            code = main(argv)
        except SystemExit as error:  # argparse
            code = error.code
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run_command
