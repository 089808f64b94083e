import os

import psutil
import pytest
import torch

from napari_seggpt.cluster.clients import open_client


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
