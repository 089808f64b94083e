"""open_client(): workers on this computer, or a scheduler that runs elsewhere."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

WAIT_SECONDS = 60
ONLY_HERE = "127.0.0.1:0"
# A terminal sends Ctrl-C to all its processes; what ends is decided by this one.
IGNORE_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


@contextmanager
def open_client(
    *, workers: int | None = None, scheduler: str | None = None
) -> Iterator[Client]:
    """Start workers on this computer, or connect to a scheduler.

    Parameters
    ----------
    workers : int, optional
        So many processes, among which the cores are shared out. They listen on this
        computer only, and end with the block.
    scheduler : str, optional
        The address of a scheduler, such as "tcp://host:8786", or the path of the file
        that it wrote. For "tls://" addresses the certificates are those of dask's
        configuration.

    Raises
    ------
    ValueError
        If not exactly one of the two is given.
    ImportError
        If dask's package `distributed` is not installed.
    OSError
        If the scheduler does not answer.
    """
    if (workers is None) == (scheduler is None):
        raise ValueError("Expected either a number of workers or a scheduler.")
    if scheduler is not None:
        with _connect(scheduler) as client:
            client.wait_for_workers(1, timeout=WAIT_SECONDS)
            yield client
        return
    assert workers is not None
    with _local(workers) as client:
        yield client


def replace_ended_workers(client: Client) -> None:
    """Start new processes in place of those of this computer that ended for good.

    A worker that is killed is started again by dask; one whose connection broke, as
    on a machine that is too busy, closes itself and is not.
    """
    from distributed import Status

    cluster = client.cluster
    if cluster is None:
        return
    workers = list(cluster.workers.items())
    ended = [name for name, x in workers if x.status in (Status.closed, Status.failed)]
    if ended:
        wanted = len(cluster.worker_spec)
        for name in ended:
            cluster.worker_spec.pop(name, None)
            cluster.workers.pop(name, None)
        cluster.scale(wanted)


def _connect(scheduler: str) -> Client:
    is_file = os.path.isfile(scheduler)
    place = {"scheduler_file": scheduler} if is_file else {"address": scheduler}
    return new_client(**place, timeout=WAIT_SECONDS)


def new_client(**settings: Any) -> Client:
    """Return a client of dask with such settings; one that fails to start is closed.

    dask leaves that to the collection of garbage. If this comes while the next client
    starts, which holds a lock that closing needs, the program stands still.
    """
    from distributed import Client

    client = Client.__new__(Client)
    try:
        Client.__init__(client, set_as_default=False, **settings)
    except BaseException:
        with suppress(Exception):
            client.close()
        raise
    return client


@contextmanager
def _local(workers: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    threads = str(max(1, (os.cpu_count() or 1) // workers))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    configuration = {
        # Who submits a task hears of each death, and knows which frame it was of.
        "distributed.scheduler.allowed-failures": 0,
        # Else dask gives a place up if its new process takes 15 seconds to start.
        "distributed.deploy.lost-worker-timeout": "1 hour",
    }
    with (
        dask.config.set(configuration),
        _quiet(),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=None,  # dask would kill a worker that holds a large model
            # dask serves pages of its state; by default on every network interface.
            dashboard_address=ONLY_HERE,
            worker_dashboard_address=ONLY_HERE,
            preload=[IGNORE_CTRL_C],
            silence_logs=logging.CRITICAL,  # in its processes
            env=dict.fromkeys(names, threads),
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence dask: what a person should know of workers, who uses them says.

    It tells of each worker that ends and, after Ctrl-C, of every connection.
    """
    dask_logger = logging.getLogger("distributed")
    before = dask_logger.level
    dask_logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        dask_logger.setLevel(before)
