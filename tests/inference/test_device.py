import logging
from functools import partial

import pytest
import torch

from napari_seggpt.inference.device import (
    autocast,
    free_unused_memory,
    is_out_of_memory,
    pick_device,
    pick_dtype,
)


def has(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [
        (True, False, "cuda"),
        (True, True, "cuda"),
        (False, True, "mps"),
        (False, False, "cpu"),
    ],
)
def test_auto_takes_the_best_there_is(
    cuda: bool, mps: bool, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(monkeypatch, cuda=cuda, mps=mps)
    assert pick_device("auto") == torch.device(best)


def test_a_wanted_device_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    has(monkeypatch, cuda=True, mps=True)
    for name in ("cpu", "cuda", "mps"):
        assert pick_device(name) == torch.device(name)
    assert not caplog.records


@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_a_missing_device_is_replaced_by_the_cpu_and_said(
    wanted: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    has(monkeypatch, cuda=False, mps=False)
    assert pick_device(wanted) == torch.device("cpu")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"Expected a {wanted} device, found none" in record.getMessage()


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_wanted_precision_is_taken(name: str, device: str) -> None:
    assert pick_dtype(name, torch.device(device)) == getattr(torch, name)


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_auto_is_exact_where_that_is_as_fast(device: str) -> None:
    assert pick_dtype("auto", torch.device(device)) == torch.float32


@pytest.mark.parametrize(
    ("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)]
)
def test_auto_is_short_on_cuda(
    supported: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: supported)
    assert pick_dtype("auto", torch.device("cuda")) == dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_products_are_computed_in_the_dtype(dtype: torch.dtype) -> None:
    square = torch.eye(4)
    with autocast(torch.device("cpu"), dtype):
        assert (square @ square).dtype == dtype
    assert (square @ square).dtype == torch.float32


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5.05 GB)"), True),
        (RuntimeError("Invalid buffer size: 12.21 GiB"), True),
        (RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (MemoryError(), True),
        (RuntimeError("the sizes of the tensors do not match"), False),
        (ValueError("out of memory"), False),
        (KeyboardInterrupt(), False),
    ],
    ids=str,
)
def test_too_little_memory_is_known(error: BaseException, *, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_the_allocator_of_the_cpu_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15, dtype=torch.float64)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_memory_is_freed_on_the_device_that_lacks_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed = []
    for name in ("cuda", "mps"):
        module = getattr(torch, name)
        monkeypatch.setattr(module, "empty_cache", partial(freed.append, name))
    free_unused_memory(torch.device("cpu"))
    assert freed == []
    free_unused_memory(torch.device(kind))
    assert freed == [kind]
