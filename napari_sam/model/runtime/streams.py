"""Keep the work of one thread on a GPU from waiting for another's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


class Streams:
    """One CUDA stream per thread, so that a decode does not queue behind an encode.

    No effect on other devices.

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
        """Use this thread's stream inside the block, and synchronise at its end.

        Afterwards any thread may use the results.
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
        """Copy an array to the device, without blocking the processor."""
        tensor = torch.from_numpy(array)
        if self._has_streams:
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)

    def receive(self, tensor: Tensor) -> npt.NDArray[Any]:
        """Copy a tensor from the device; inside `own`, at whose end the values are there."""
        if not self._has_streams:
            return tensor.cpu().numpy()
        # An H200 fills pinned memory twenty times as fast as new memory of the process.
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return host.copy_(tensor, non_blocking=True).numpy()
