"""Models that were loaded once and are kept."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_seggpt.cluster.remote_model import RemoteModel
    from napari_seggpt.model.seggpt import SegGPT

    Progress = Callable[[int, int], None]


class StoppedError(Exception):
    """A person stopped what a worker does."""


class Stoppable:
    """Work in a worker that can be told to stop, also within a step.

    It ends before the next part of a model is fetched, and before the next pass.

    Attributes
    ----------
    on_download : callable, optional
        Called in the worker with the bytes fetched and the bytes in all. What it
        raises ends the work.
    on_upload : callable, optional
        The same of bytes that are sent to another computer.
    """

    def __init__(self) -> None:
        self.on_download: Progress | None = None
        self.on_upload: Progress | None = None
        self._stop = threading.Event()

    def stop(self) -> None:
        """End the work; what its present step has not finished is dropped.

        It may be called from any thread.
        """
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Whether the work was told to stop."""
        return self._stop.is_set()

    def check_stopped(self) -> None:
        """Raise StoppedError if the work was told to stop, in the worker."""
        if self.is_stopped:
            raise StoppedError

    def report_download(self, done: int, total: int) -> None:
        """Report bytes fetched and in all, in the worker.

        Raises
        ------
        StoppedError
            If the work was told to stop.
        """
        self.check_stopped()
        if self.on_download is not None:
            self.on_download(done, total)

    def report_upload(self, done: int, total: int) -> None:
        """Report bytes sent and in all, in the worker.

        Raises
        ------
        StoppedError
            If the work was told to stop.
        """
        self.check_stopped()
        if self.on_upload is not None:
            self.on_upload(done, total)


class LoadModel(Protocol):
    """A way to get a model by its name or path."""

    def __call__(self, name: str, /, *, progress: Progress | None = None) -> SegGPT:
        """Load a model; `progress` is called with the bytes fetched and in all."""
        ...


class ModelCache:
    """Loads a model when it is first used and keeps the last one.

    One cache may serve several sessions, one after the other.

    Parameters
    ----------
    load : callable, optional
        How a model is loaded; `model.zoo.load_model` by default.

    Attributes
    ----------
    lock : threading.RLock
        Held by whoever computes with a model, a frame at a time.
    """

    def __init__(self, load: LoadModel | None = None) -> None:
        self.lock = threading.RLock()
        self._load = load
        self._name: str | None = None
        self._model: SegGPT | None = None
        self._remote: RemoteModel | None = None

    def get(self, name: str, progress: Progress | None = None) -> SegGPT:
        """Return a model, loading it unless it is the last one."""
        with self.lock:
            if self._model is None or name != self._name:
                self.clear()  # two models may not fit in memory
                load_torch_libraries()
                self._model = self._loader(name, progress=progress)
                self._name = name
            return self._model

    def send(
        self, name: str, scheduler: str, fetching: Progress, sending: Progress
    ) -> RemoteModel:
        """Return a model on a worker elsewhere, sending it there unless it was.

        Parameters
        ----------
        name : str
            As of `get`; a model that is sent is here first.
        scheduler : str
            The address of the scheduler.
        fetching, sending : callable
            Called with the bytes fetched, or sent, and in all.

        Raises
        ------
        ConnectionError
            If no worker can be reached there.
        ValueError
            If what carries it is not installed, or does not fit the worker.
        """
        from napari_seggpt.cluster.extra import check_installed

        check_installed("another computer")
        with self.lock:
            model, remote = self.get(name, fetching), self._remote
            if remote is None or remote.address != scheduler:
                self.leave()
                from napari_seggpt.cluster.remote_model import RemoteModel

                remote = self._remote = RemoteModel(model, scheduler)
            remote.connect(sending)
            return remote

    def leave(self) -> None:
        """Close the connection to another computer, which forgets what it was sent."""
        with self.lock:
            remote, self._remote = self._remote, None
            if remote is not None:
                remote.close()

    @property
    def _loader(self) -> LoadModel:
        if self._load is not None:
            return self._load
        from napari_seggpt.model.zoo import load_model

        return load_model

    def clear(self) -> None:
        """Forget the model, so that its memory is free; waits for who computes."""
        with self.lock:
            self.leave()
            self._model = self._name = None


def load_torch_libraries() -> None:
    """Load the libraries of torch as `import torch` does, but let other threads go on.

    Python holds its lock while an import loads a library, and those of torch are large:
    the window would stand still for half a second. Calls into C hold no lock. Where
    that cannot be done, the import will do it.
    """
    spec = None if "torch" in sys.modules else find_spec("torch")
    if os.name != "posix" or spec is None or spec.origin is None:
        return
    load = ctypes.CDLL(None).dlopen
    load.restype, load.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    folder = Path(spec.origin).parent / "lib"
    for library in sorted(folder.glob("libtorch_cpu.*")):
        load(os.fsencode(library), os.RTLD_NOW | os.RTLD_LOCAL)
