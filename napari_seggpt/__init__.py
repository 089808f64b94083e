"""napari-seggpt: label a few frames; SegGPT labels the rest of the stack in context.

The public names are loaded when they are first used, so that importing the package
loads neither torch nor napari nor Qt.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_seggpt.inference.labelling import label_stack
    from napari_seggpt.inference.prediction import Prediction
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.inference.propagation import predict_stack
    from napari_seggpt.inference.voting import label_volume
    from napari_seggpt.io import ArrayLabels, create_labels, open_stack
    from napari_seggpt.metrics.pixels import mean_dice
    from napari_seggpt.model.zoo import load_model
    from napari_seggpt.object_settings import (
        CleanupSettings,
        LinkingSettings,
        ObjectSettings,
    )
    from napari_seggpt.palette import Palette
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.session.frames.status import FrameStatus
    from napari_seggpt.session.session import Session
    from napari_seggpt.session.store.task_file import Task
    from napari_seggpt.settings import (
        PredictionSettings,
        PropagationSettings,
        SessionSettings,
        TuningSettings,
    )
    from napari_seggpt.training.recipe import Recipe
    from napari_seggpt.training.tuning import tune_prompt

__all__ = [
    "ArrayLabels",
    "CleanupSettings",
    "FrameStatus",
    "LinkingSettings",
    "ObjectSettings",
    "Palette",
    "Prediction",
    "PredictionSettings",
    "Predictor",
    "Prompt",
    "PropagationSettings",
    "Recipe",
    "Session",
    "SessionSettings",
    "Task",
    "TunedPrompt",
    "TuningSettings",
    "create_labels",
    "label_stack",
    "label_volume",
    "load_model",
    "mean_dice",
    "open_stack",
    "predict_stack",
    "tune_prompt",
]

_HOMES = {
    "ArrayLabels": "io",
    "CleanupSettings": "object_settings",
    "FrameStatus": "session.frames.status",
    "LinkingSettings": "object_settings",
    "ObjectSettings": "object_settings",
    "Palette": "palette",
    "Prediction": "inference.prediction",
    "PredictionSettings": "settings",
    "Predictor": "inference.predictor",
    "Prompt": "prompts",
    "PropagationSettings": "settings",
    "Recipe": "training.recipe",
    "Session": "session.session",
    "SessionSettings": "settings",
    "Task": "session.store.task_file",
    "TunedPrompt": "prompts",
    "TuningSettings": "settings",
    "create_labels": "io",
    "label_stack": "inference.labelling",
    "label_volume": "inference.voting",
    "load_model": "model.zoo",
    "mean_dice": "metrics.pixels",
    "open_stack": "io",
    "predict_stack": "inference.propagation",
    "tune_prompt": "training.tuning",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return metadata.version("napari-seggpt")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
