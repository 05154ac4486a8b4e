"""The devices and precisions that a model can run on here."""

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress

import torch

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
EXACT = "float32"


def available_devices() -> tuple[str, ...]:
    """Return the devices that torch can use here, the fastest first and "cpu" last."""
    accelerators: list[str] = []
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        accelerators += ["cuda"] if count == 1 else [f"cuda:{index}" for index in range(count)]
    if torch.backends.mps.is_available():
        accelerators.append("mps")
    if torch.xpu.is_available():
        accelerators.append("xpu")
    return (*accelerators, "cpu")


def fastest_precision(device: str) -> str:
    """Return the precision that a device supports natively and computes fastest in.

    A processor without bfloat16 instructions emulates them, which took fifty times as long as
    float32.

    Parameters
    ----------
    device : str
        A torch device such as "cpu" or "cuda:1".

    Returns
    -------
    str
        A key of `PRECISIONS`.
    """
    kind = device.partition(":")[0]
    if kind == "cpu":
        return "bfloat16" if _cpu_has_bfloat16() else EXACT
    if kind == "cuda":
        native = torch.cuda.is_available() and torch.cuda.is_bf16_supported(False)
        return "bfloat16" if native else "float16"
    return {"mps": "float16", "xpu": "bfloat16"}.get(kind, EXACT)


def _cpu_has_bfloat16() -> bool:
    # Undocumented and missing in some versions of torch, but there is no other way.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def resolve(device: str, exact: bool | None) -> tuple[str, str]:
    """Choose a device and a precision.

    Parameters
    ----------
    device : str
        A torch device, or "auto" for the fastest available one.
    exact : bool or None
        Whether to compute in float32. None: on a processor, but an accelerator uses its fastest
        precision.

    Returns
    -------
    tuple of str
        For `Predictor`.
    """
    if device == "auto":
        device = available_devices()[0]
    if exact is None:
        exact = device == "cpu"
    return device, EXACT if exact else fastest_precision(device)


def release_memory() -> None:
    """Return unused memory to the system and to other users of the accelerator.

    The C library of Linux would keep most of the memory of a freed model.
    """
    releases: dict[str, Callable[[], object]] = {
        "cuda": torch.cuda.empty_cache,
        "mps": torch.mps.empty_cache,
        "xpu": torch.xpu.empty_cache,
        "cpu": _trim_heap,
    }
    for device in available_devices():
        releases[device.partition(":")[0]]()


def _trim_heap() -> None:
    if sys.platform == "linux":
        with suppress(AttributeError):  # only the GNU library has it
            ctypes.CDLL(None).malloc_trim(0)
