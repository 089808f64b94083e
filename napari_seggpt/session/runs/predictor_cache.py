"""PredictorCache: makes the predictor of a run, in the worker, and keeps it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_seggpt.frames import DAMAGE
from napari_seggpt.inference.watching import UnreadableFrame
from napari_seggpt.io.layout import one_line
from napari_seggpt.prompts import Prompt
from napari_seggpt.session.runs.region import RegionFrames
from napari_seggpt.settings import PredictionSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.cluster.remote_model import RemoteModel
    from napari_seggpt.frames import FrameGrid, Frames
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.session.references.reference import PromptSource
    from napari_seggpt.session.runs.models import ModelCache, Progress
    from napari_seggpt.settings import ContrastSettings, SessionSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunRequest:
    """What a run needs to know, as it was when the run was started.

    `axis` is what frames follow each other in: "t" or "z". `grid` is how they lie, if
    along two axes.
    """

    stack: Frames
    settings: SessionSettings
    sources: tuple[PromptSource, ...]
    tuned: tuple[TunedPrompt, ...] = ()
    axis: str = "z"
    grid: FrameGrid | None = None


class PredictorCache:
    """Keeps the last predictor, so that its prompts are encoded once.

    Parameters
    ----------
    models : ModelCache
        Where models come from.
    """

    def __init__(self, models: ModelCache) -> None:
        self.models = models
        self._predictor: TaskPredictor | None = None
        self._built: tuple[object, ...] = ()
        self._answers: tuple[object, ...] = ()
        self._prompts: dict[tuple[object, ...], Prompt] = {}
        self._limits: Limits | None = None
        self._measured: tuple[Frames, ContrastSettings] | None = None

    def predictor(
        self,
        request: RunRequest,
        progress: Progress | None = None,
        sending: Progress | None = None,
    ) -> TaskPredictor:
        """Return a predictor of what the settings ask for; the last one, if it serves.

        It computes here, or on the other computer that the settings name.

        Parameters
        ----------
        request : RunRequest
            What is predicted, and how.
        progress, sending : callable, optional
            Called with the bytes of the model that are fetched, or sent, and in all.

        Raises
        ------
        ValueError
            If objects are asked for that cannot be had; see `task_of`.
        ConnectionError
            If the other computer cannot be reached.
        """
        from napari_seggpt.inference.task_predictors import task_predictor

        settings = request.settings
        with self.models.lock:
            model, prompts, limits = self.material(request, progress)
            remote = self._remote(settings, progress, sending)
            wanted = (model, remote, settings.prediction, limits, *request.tuned)
            objects = settings.objects
            answers = (objects.task, objects.enlarge, settings.cleanup)
            # Dropped first, because it is of no use if what follows fails, and because
            # two predictors may not fit in memory.
            predictor, self._predictor = self._predictor, None
            if predictor is None or not _same(wanted, self._built):
                predictor = None
                predictor = task_predictor(
                    self._predictor_of(request, remote), settings
                )
            elif answers != self._answers or not _same(
                tuple(prompts), predictor.prompts
            ):
                predictor = task_predictor(
                    predictor.predictor.with_prompts(prompts), settings
                )
            self._built, self._answers = wanted, answers
            self._predictor = predictor
            return predictor

    def _remote(
        self,
        settings: SessionSettings,
        progress: Progress | None,
        sending: Progress | None,
    ) -> RemoteModel | None:
        if settings.scheduler is None:
            self.models.leave()
            return None
        return self.models.send(
            settings.model,
            settings.scheduler,
            progress or _ignore,
            sending or _ignore,
        )

    def _predictor_of(
        self, request: RunRequest, remote: RemoteModel | None
    ) -> Predictor:
        if remote is None:
            return self.new_predictor(request)
        from napari_seggpt.cluster.remote_predictor import RemotePredictor

        _, prompts, limits = self.material(request)
        return RemotePredictor(
            remote,
            prompts,
            tuned=request.tuned,
            settings=request.settings.prediction,
            limits=limits,
        )

    def new_predictor(self, request: RunRequest) -> Predictor:
        """Make a predictor that computes here, of the references' own labels.

        It is not kept.
        """
        from napari_seggpt.inference.predictor import Predictor

        model, prompts, limits = self.material(request)
        return Predictor(
            model,
            prompts,
            tuned=request.tuned,
            settings=request.settings.prediction,
            limits=limits,
        )

    def material(
        self, request: RunRequest, progress: Progress | None = None
    ) -> tuple[SegGPT, list[Prompt], Limits]:
        """Return model, prompts and contrast; kept until another request."""
        with self.models.lock:
            model = self.models.get(request.settings.model, progress)
            limits = self._contrast(request.stack, request.settings.contrast)
            return model, self._make_prompts(request), limits

    def readable(
        self, request: RunRequest, progress: Progress | None = None
    ) -> tuple[RunRequest, list[UnreadableFrame]]:
        """Leave out the references whose image cannot be read; tell which these are.

        Raises
        ------
        Exception
            What was raised last, if none can be read.
        """
        kept: list[PromptSource] = []
        left_out: list[UnreadableFrame] = []
        with self.models.lock:
            self.models.get(request.settings.model, progress)
            self._contrast(request.stack, request.settings.contrast)
            problem = None
            for source in request.sources:
                try:
                    self._prompts[source.identity] = self._prompt(source, request.stack)
                    kept.append(source)
                except DAMAGE as error:
                    if source.frame is None:
                        raise
                    problem, reason = error, one_line(error)
                    left_out.append(UnreadableFrame(index=source.frame, reason=reason))
        if problem is not None and not kept and not request.tuned:
            raise problem
        return replace(request, sources=tuple(kept)), left_out

    def _contrast(self, stack: Frames, settings: ContrastSettings) -> Limits:
        from napari_seggpt.frames import sample_frames
        from napari_seggpt.preprocessing import measure_limits

        if (
            self._limits is None
            or self._measured is None
            or not _is_same_stack(self._measured[0], stack)
            or self._measured[1] != settings
        ):
            self._limits = measure_limits(sample_frames(stack), settings)
            self._measured = (stack, settings)
            self._prompts = {}
        return self._limits

    def _make_prompts(self, request: RunRequest) -> list[Prompt]:
        """Make prompts; an image is read only if it was not used in the last run."""
        self._prompts = {
            source.identity: self._prompt(source, request.stack)
            for source in request.sources
        }
        return list(self._prompts.values())

    def _prompt(self, source: PromptSource, stack: Frames) -> Prompt:
        return self._prompts.get(source.identity) or _make_prompt(source, stack)


def _make_prompt(source: PromptSource, stack: Frames) -> Prompt:
    image = _shown(source.image) if source.frame is None else stack[source.frame]
    return Prompt(
        image=image,
        labels=source.labels,
        index=source.frame,
        is_hint=source.is_hint,
    )


def _shown(image: NDArray[Any] | None) -> NDArray[Any]:
    """Show an image from elsewhere as a picture, with its own contrast."""
    from napari_seggpt.preprocessing import measure_limits, to_rgb

    assert image is not None
    return to_rgb(image, measure_limits([image]))


def _ignore(done: int, total: int) -> None:
    """Take no note of bytes."""


def _is_same_stack(one: Frames, other: Frames) -> bool:
    """Whether frames are the same; arrays are not compared value by value."""
    return one is other or (isinstance(one, RegionFrames) and one == other)


def _same(some: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    """Whether all are the same objects, or equal settings."""
    return len(some) == len(others) and all(
        one is other or (isinstance(one, PredictionSettings) and one == other)
        for one, other in zip(some, others, strict=True)
    )
