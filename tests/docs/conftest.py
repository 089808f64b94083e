"""Models that cost nothing, and what the site is built with."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from napari_seggpt.model import zoo
from napari_seggpt.model.seggpt import SegGPT

HOOKS = Path(__file__).parents[2] / ".docs" / "hooks.py"


@pytest.fixture
def any_model_is_tiny(monkeypatch: pytest.MonkeyPatch, tiny_model: SegGPT) -> None:
    """Let every name of a model mean the tiny one."""
    monkeypatch.setattr(zoo, "load_model", lambda *_, **__: tiny_model)


@pytest.fixture(scope="session")
def hooks() -> ModuleType:
    """What makes the parts of the site that come from elsewhere."""
    spec = spec_from_file_location("site_hooks", HOOKS)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
