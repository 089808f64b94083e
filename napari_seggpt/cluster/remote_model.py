"""RemoteModel: a network that was sent to a worker of a scheduler elsewhere."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from distributed import CancelledError

from napari_seggpt.cluster.clients import new_client
from napari_seggpt.cluster.painter import Painted, Painter, PaintRequest, Supplies
from napari_seggpt.io.label_values import smallest_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from distributed import Client, Future
    from distributed.actor import Actor, ActorFuture
    from numpy.typing import NDArray

    from napari_seggpt.cluster.painter import PassPlan
    from napari_seggpt.inference.memory import PromptTile
    from napari_seggpt.model.seggpt import SegGPT

    Progress = Callable[[int, int], object]

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10
WORKER_SECONDS = 60  # that a scheduler without workers may take to start one
LOOK_SECONDS = 0.05  # between two looks whether a person stops
PART_BYTES = 8 * 2**20  # of weights that are sent at once


class RemoteModel:
    """A network on one worker of a scheduler: it is sent once, and paints there.

    All that a worker knows is known here, too. If it dies or the connection breaks, the
    next `connect` finds another one, which is sent what it needs.

    Parameters
    ----------
    model : SegGPT
        The network.
    address : str
        Of the scheduler, as "tcp://host:8786". For "tls://" the certificates are those
        of dask's configuration.
    """

    def __init__(self, model: SegGPT, address: str) -> None:
        self.model = model
        self.address = address
        self.is_cpu = True
        self._client: Client | None = None
        self._future: Future | None = None
        self._actor: Actor | None = None
        self._numbers = count()
        self._forget()

    def _forget(self) -> None:
        """Forget what the worker was sent; it is sent again."""
        self._plan: PassPlan | None = None
        # A tile that is forgotten here is of no use there.
        self._keys: WeakKeyDictionary[PromptTile, int] = WeakKeyDictionary()
        self._there: set[int] = set()

    # -- connecting ----------------------------------------------------------------

    def connect(self, progress: Progress) -> None:
        """Find a worker and send the network there, unless that was done.

        Parameters
        ----------
        progress : callable
            Called often with the bytes sent and in all; what it raises ends this.

        Raises
        ------
        ConnectionError
            If there is no scheduler or no worker.
        ValueError
            If the worker cannot take part.
        """
        if self._is_connected:
            return
        self.close()
        try:
            self._client = self._open()
            self._start(progress)
        except BaseException:
            self.close()
            raise

    @property
    def _is_connected(self) -> bool:
        return (
            self._client is not None
            and self._client.status == "running"
            and self._future is not None
            and self._future.status == "finished"
            and self._actor is not None
        )

    def _open(self) -> Client:
        try:
            return new_client(
                address=self.address,
                direct_to_workers=False,  # they may be out of reach
                timeout=CONNECT_SECONDS,
            )
        except OSError as error:
            logger.info("No connection to %s: %s", self.address, error)
            raise ConnectionError(
                f"Expected a dask scheduler at {self.address}, got no answer within "
                f"{CONNECT_SECONDS} seconds."
            ) from error
        except (TypeError, ValueError, RuntimeError) as error:  # TLS is not set up
            raise ValueError(
                f"Expected to reach the dask scheduler at {self.address}, got: "
                f"{error} (certificates are those of dask's configuration)."
            ) from error

    def _start(self, progress: Progress) -> None:
        weights = self.model.state_dict()
        total = sum(each.nbytes for each in weights.values())
        done = 0

        def report() -> None:
            progress(done, total)

        self._actor = self._new_actor(report)
        for part in _parts(weights):
            self._call("add_weights", part, wait=report)
            done += sum(each.nbytes for each in part.values())
            report()
        self.is_cpu = self._call("build", self.model.config, wait=report)

    def _new_actor(self, wait: Callable[[], object]) -> Actor:
        client = self._client
        assert client is not None
        self._future = client.submit(
            Painter, metadata.version("napari-seggpt"), actor=True, pure=False
        )
        until = time.monotonic() + WORKER_SECONDS
        while self._future.status == "pending":
            wait()
            if time.monotonic() > until:
                raise ConnectionError(
                    f"Expected a worker of the dask scheduler at {self.address}, got "
                    f"none within {WORKER_SECONDS} seconds."
                )
            time.sleep(LOOK_SECONDS)
        if self._future.status in ("lost", "cancelled"):
            raise self._lost()
        try:
            return self._future.result()
        except (ModuleNotFoundError, RuntimeError) as error:
            missing = error.__cause__ or error  # a scheduler wraps it
            if not isinstance(missing, ModuleNotFoundError):
                raise
            raise ValueError(
                "Expected napari-seggpt on the scheduler and the workers of "
                f"{self.address}, got: {missing}."
            ) from error

    def close(self) -> None:
        """Let the worker forget all, and close the connection."""
        client, self._client = self._client, None
        self._future = self._actor = None
        self._forget()
        if client is not None:
            with suppress(Exception):  # a connection that broke
                client.close(timeout=1)

    # -- painting ------------------------------------------------------------------

    def send(
        self,
        plan: PassPlan,
        pictures: NDArray[np.uint8],
        chosen: Sequence[Sequence[PromptTile]],
        wait: Callable[[], object],
    ) -> ActorFuture[Painted]:
        """Have pictures painted; `wait_for` returns what comes of it.

        Parameters
        ----------
        plan : PassPlan
            How; sent if it is another object than before.
        pictures : NDArray[np.uint8]
            (B, h, w, 3), at the model's size.
        chosen : sequence of sequence of PromptTile
            The tiles beside which each is painted; sent where they were not.
        wait : callable
            Called often while something else than pictures is sent, and may raise.

        Raises
        ------
        ConnectionError
            If the connection was lost.
        """
        if plan is not self._plan:
            self._forget()
        for tile in (tile for tiles in chosen for tile in tiles):
            self._keys.setdefault(tile, next(self._numbers))
        self._supply(plan, {self._keys[x]: x for tiles in chosen for x in tiles}, wait)
        keys = tuple(tuple(self._keys[tile] for tile in tiles) for tiles in chosen)
        return self._ask("paint", PaintRequest(pictures=pictures, chosen=keys))

    def _supply(
        self,
        plan: PassPlan,
        tiles: dict[int, PromptTile],
        wait: Callable[[], object],
    ) -> None:
        """Send what the worker lacks, and wait: messages may overtake each other."""
        new = {k: _compact(tile) for k, tile in tiles.items() if k not in self._there}
        is_new_plan = plan is not self._plan
        if not new and not is_new_plan:
            return
        gone = frozenset(self._there - {*self._keys.values()})
        supplies = Supplies(new=new, gone=gone, plan=plan if is_new_plan else None)
        self._call("keep", supplies, wait=wait)
        self._plan = plan
        self._there = (self._there | new.keys()) - gone

    def wait_for(
        self, future: ActorFuture[Painted], wait: Callable[[], object]
    ) -> Painted:
        """Return what was painted; `wait` is called often, and may raise.

        Raises
        ------
        ConnectionError
            If the worker ended or the connection was lost.
        RuntimeError
            What the network raised there.
        """
        return self._result(future, wait)

    # -- calls ---------------------------------------------------------------------

    def _call(self, name: str, argument: object, *, wait: Callable[[], object]) -> Any:
        return self._result(self._ask(name, argument), wait)

    def _ask(self, name: str, argument: object) -> ActorFuture[Any]:
        if self._client is None or self._actor is None:
            raise self._lost()
        try:
            with self._client.as_current():
                return getattr(self._actor, name)(argument)
        except RuntimeError as error:
            raise self._lost() from error

    def _result(self, future: ActorFuture[Any], wait: Callable[[], object]) -> Any:
        while not future.done():
            wait()
            if not self._is_connected:
                raise self._lost()
            with suppress(Exception):  # raised again below, if it is no timeout
                future.result(timeout=LOOK_SECONDS)
        try:
            return future.result()
        except (OSError, CancelledError) as error:
            raise self._lost() from error
        except Exception as error:
            if self._is_connected:
                self._forget()  # who knows what has arrived
                raise
            raise self._lost() from error

    def _lost(self) -> ConnectionError:
        """Close the connection, and return the error that says why."""
        self.close()
        return ConnectionError(
            f"Expected an answer from the worker of {self.address}, got none, as it "
            "ended or the connection broke: run again to go on."
        )


def _parts(weights: dict[str, Any]) -> Iterator[dict[str, NDArray[Any]]]:
    """Divide weights into parts of some megabytes, as arrays."""
    part: dict[str, NDArray[Any]] = {}
    for name, tensor in weights.items():
        part[name] = tensor.detach().cpu().numpy()
        if sum(each.nbytes for each in part.values()) >= PART_BYTES:
            yield part
            part = {}
    if part:
        yield part


def _compact(tile: PromptTile) -> PromptTile:
    """Return a tile without encodings, its labels in a small type."""
    ends = tile.labels.min(initial=0), tile.labels.max(initial=0)
    small = smallest_dtype(map(int, ends))
    return replace(tile, labels=tile.labels.astype(small), encoded={})
