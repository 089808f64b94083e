"""RemotePredictor: a predictor whose network computes on a worker elsewhere."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.cluster.painter import PassPlan
from napari_seggpt.inference.memory import in_batches
from napari_seggpt.inference.predictor import Predictor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from distributed.actor import ActorFuture
    from numpy.typing import NDArray

    from napari_seggpt.cluster.painter import Painted
    from napari_seggpt.cluster.remote_model import RemoteModel
    from napari_seggpt.inference.memory import Memory, PromptTile, QueryTile
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.settings import PredictionSettings

IN_FLIGHT = 2  # batches: one is painted while the other one travels


class RemotePredictor(Predictor):
    """Predicts frames as a `Predictor` does; only the network is elsewhere.

    Frames are cut into tiles here, and what was painted is read here: tiles at the
    model's size travel, whatever the size of the frames.

    Parameters
    ----------
    remote : RemoteModel
        Connected to a worker.
    prompts, tuned, settings, limits
        As of `Predictor`; the device is the worker's own choice.
    """

    def __init__(
        self,
        remote: RemoteModel,
        prompts: Iterable[Prompt] = (),
        *,
        tuned: Iterable[TunedPrompt] = (),
        settings: PredictionSettings,
        limits: Limits | None = None,
    ) -> None:
        self.remote = remote
        self._precision = settings.precision
        super().__init__(
            remote.model,
            prompts,
            tuned=tuned,
            settings=replace(settings, device="cpu", precision="float32"),
            limits=limits,
        )

    def set_prompts(
        self, prompts: Iterable[Prompt], *, finest: float | None = None
    ) -> None:
        """Replace all but the tuned prompts; see `Predictor.set_prompts`."""
        super().set_prompts(prompts, finest=finest)
        self._plan = PassPlan(
            settings=replace(self.settings, precision=self._precision),
            tuned=self.tuned,
            palettes=tuple(self.palettes),
            replaced=self.replaced,
        )

    @property
    def frames_at_once(self) -> int:
        """How many frames are predicted together, so that the worker need not wait."""
        return IN_FLIGHT * (1 if self.remote.is_cpu else self.settings.batch)

    def _paint(
        self, queries: list[QueryTile], memory: Memory | None
    ) -> Iterator[list[NDArray[np.float32]]]:
        # Tiles are held until what is painted beside them has come: the worker is told
        # to forget others, and that message may overtake the one with the pictures.
        waiting: deque[tuple[ActorFuture[Painted], list[list[PromptTile]]]] = deque()
        for batch in self._batches(queries):
            if len(waiting) == IN_FLIGHT:
                yield from self._take(waiting.popleft()[0])
            self.passes.announce()
            pictures = np.stack([query.picture for query in batch])
            chosen = [self._choose(query, memory) for query in batch]
            painted = self.remote.send(
                self._plan, pictures, chosen, self.passes.announce
            )
            waiting.append((painted, chosen))
        while waiting:
            yield from self._take(waiting.popleft()[0])

    def _batches(self, queries: list[QueryTile]) -> Iterator[list[QueryTile]]:
        """Divide tiles as a predictor would that computes on such a device."""
        if not self.remote.is_cpu:
            yield from in_batches(queries, self.settings.batch)
            return
        for _, frame in groupby(queries, key=lambda query: query.index):
            yield from in_batches(list(frame), self.settings.batch)

    def _take(
        self, future: ActorFuture[Painted]
    ) -> Iterator[list[NDArray[np.float32]]]:
        """Yield for every tile of a batch what each pass painted."""
        painted = self.remote.wait_for(future, self.passes.announce)
        self.passes.encoding_seconds += painted.encoding_seconds
        yield from (list(each) for each in zip(*painted.passes, strict=True))
