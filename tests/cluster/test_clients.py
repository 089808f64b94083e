import gc
import logging
import os
import time

import psutil
import pytest
import torch
from distributed import Client, Status

from napari_seggpt.cluster.clients import (
    new_client,
    open_client,
    replace_ended_workers,
)

WAIT_SECONDS = 120


def listening(pid):
    """The addresses at which a process and its children listen."""
    process = psutil.Process(pid)
    everyone = [process, *process.children(recursive=True)]
    found = [each.net_connections("inet") for each in everyone]
    return {x.laddr.ip for each in found for x in each if x.status == "LISTEN"}


@pytest.mark.slow
def test_workers_share_the_cores_and_listen_here_only():
    with open_client(workers=2) as client:
        threads = client.run(torch.get_num_threads)
        processes = client.run(os.getpid)
        assert listening(os.getpid()) == {"127.0.0.1"}
    assert [*threads.values()] == [max(1, (os.cpu_count() or 1) // 2)] * 2
    assert len({*processes.values(), os.getpid()}) == 3
    assert not any(psutil.pid_exists(pid) for pid in processes.values())


@pytest.mark.parametrize("place", [{}, {"workers": 2, "scheduler": "a:1"}])
def test_the_place_must_be_clear(place):
    with pytest.raises(ValueError, match="either"), open_client(**place):
        pass


def end_for_good(dask_worker):
    """End a worker as it ends itself when its connection breaks."""
    dask_worker.loop.add_callback(dask_worker.close, reason="a test", nanny=True)


@pytest.mark.slow
def test_a_worker_that_ended_for_good_is_replaced_and_no_other():
    dask_logger = logging.getLogger("distributed.scheduler")
    level = dask_logger.getEffectiveLevel()  # others may have silenced it, too
    with open_client(workers=2) as client:
        assert not dask_logger.isEnabledFor(logging.ERROR)  # as of workers that end
        replace_ended_workers(client)  # none has ended
        before = client.run(os.getpid)
        ends, stays = before
        client.run(end_for_good, workers=[ends])
        until = time.monotonic() + WAIT_SECONDS
        workers = client.cluster.workers
        while all(each.status is not Status.closed for each in workers.values()):
            assert time.monotonic() < until
            time.sleep(0.1)
        replace_ended_workers(client)
        client.wait_for_workers(2, timeout=WAIT_SECONDS)
        after = client.run(os.getpid)
    assert dask_logger.getEffectiveLevel() == level
    assert after[stays] == before[stays]
    assert len(after) == 2
    assert before[ends] not in after.values()


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_client_that_finds_nobody_is_closed(scheme):
    """Else its collection may wait for a lock that the next client holds, for ever."""
    before = open_clients()
    with pytest.raises((OSError, TypeError)) as caught:  # which keeps the client
        new_client(address=f"{scheme}://127.0.0.1:1", timeout=0.2)
    assert open_clients() <= before
    del caught


def open_clients():
    clients = [x for x in gc.get_objects() if isinstance(x, Client)]
    return {x.id for x in clients if x.status != "closed"}
