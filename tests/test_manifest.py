from importlib.metadata import entry_points
from pathlib import Path

import pytest
from npe2 import PluginManifest

from napari_seggpt.sample_data import SAMPLES

MANIFEST = Path(__file__).parents[1] / "napari.yaml"


@pytest.fixture
def manifest():
    return PluginManifest.from_file(MANIFEST)


def test_every_command_exists(manifest):
    manifest.validate_imports()


def test_every_sample_is_offered(manifest):
    assert {sample.key for sample in manifest.contributions.sample_data} == set(SAMPLES)


def test_an_installed_package_is_found_by_napari():
    (entry,) = entry_points(group="napari.manifest", name="napari-seggpt")
    assert entry.value == "napari_seggpt_resources:napari.yaml"
    found = PluginManifest.from_distribution("napari-seggpt")
    assert found.name == "napari-seggpt"
