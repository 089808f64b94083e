"""The work on one stack: status of every frame, references, runs and their undo.

It knows neither Qt nor napari, and loads torch only in a run. All of it is used on one
thread, the window's, but for `Run.results` and `LabelledFrames.scan`, which are for a
worker.
"""

from napari_seggpt.session.frames.frame_labels import FrameLabels, ScannedFrame
from napari_seggpt.session.frames.status import PROTECTED, FrameStatus
from napari_seggpt.session.references.reference import Reference
from napari_seggpt.session.runs.advice import CheckedReference, misfit
from napari_seggpt.session.runs.linking_run import LinkingRun
from napari_seggpt.session.runs.models import ModelCache
from napari_seggpt.session.runs.planning import Scope
from napari_seggpt.session.runs.run import FrameResult, RenamedResult, Run
from napari_seggpt.session.session import Session

__all__ = [
    "PROTECTED",
    "CheckedReference",
    "FrameLabels",
    "FrameResult",
    "FrameStatus",
    "LinkingRun",
    "ModelCache",
    "Reference",
    "RenamedResult",
    "Run",
    "ScannedFrame",
    "Scope",
    "Session",
    "misfit",
]
