"""Where and how precisely to compute: as the user asked, if the machine can."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext

import torch

logger = logging.getLogger(__name__)

# How MPS, CUDA libraries and the CPU's allocator say it.
OUT_OF_MEMORY = (
    "out of memory", "not enough memory", "can't allocate memory", "cudnn_status_alloc",
    "cublas_status_alloc_failed", "invalid buffer size",
)  # fmt: skip


def pick_device(wanted: str) -> torch.device:
    """Return the wanted device, or the best there is for "auto".

    A device that the machine does not have is replaced by the CPU, and said.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    if not available.get(wanted, False):
        logger.warning(
            "Expected a %s device, found none: computing on the CPU.", wanted
        )
        return torch.device("cpu")
    return torch.device(wanted)


def pick_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """Return the precision of matrix products; "auto" is fast where that is safe."""
    if wanted != "auto":
        return {
            "float32": torch.float32,
            "bfloat16": torch.bfloat16,
            "float16": torch.float16,
        }[wanted]
    if device.type != "cuda":  # bfloat16 is slower than float32 on most CPUs
        return torch.float32
    # Never float16 unasked: an activation beyond its range would become NaN.
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float32


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether a device had too little memory for what it was to compute.

    CUDA has an error of its own for it; the others raise a plain RuntimeError.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        word in text for word in OUT_OF_MEMORY
    )


def free_unused_memory(device: torch.device) -> None:
    """Give memory back that torch holds for later, so that smaller parts find room."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Return the context in which the network computes in `dtype`."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)
