"""Keeping one thread's work on a GPU from waiting for another's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


class Streams:
    """One CUDA stream per thread, so that a decode does not queue behind an encode.

    On other devices it does nothing.

    Parameters
    ----------
    device : str
        A torch device.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._has_streams = self._device.type == "cuda"
        self._own = threading.local()

    @contextmanager
    def own(self) -> Iterator[None]:
        """Work on this thread's stream inside the block, and have it finished at its end.

        What was computed may then be used by any thread: nothing is left to wait for.
        """
        if not self._has_streams:
            yield
            return
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._own.stream):
            yield
        self._own.stream.synchronize()

    def send(self, array: npt.NDArray[Any]) -> Tensor:
        """Bring an array to the device; the processor need not wait until it is there."""
        tensor = torch.from_numpy(array)
        if self._has_streams:
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)
