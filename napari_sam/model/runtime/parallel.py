"""Run many computations in parallel on a processor, each on one core."""

import ctypes
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


def map_on_cores(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Call a function for each item, on as many threads as torch uses.

    This keeps all cores busy although the two hundred steps of a decode are each too small for
    several cores. The function should spend its time inside torch, without the interpreter lock.

    Parameters
    ----------
    function : callable
        Called on other threads, in inference mode.
    items : sequence
        Its arguments.

    Returns
    -------
    list
        The results, in order.
    """
    workers = torch.get_num_threads()
    if workers == 1 or len(items) == 1:
        return [function(item) for item in items]

    def call(item: T) -> R:
        with torch.inference_mode():
            return function(item)

    return list(_pool(workers).map(call, items))


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    all_started = threading.Barrier(workers + 1)

    def begin() -> None:
        torch.get_num_threads()  # or else the first computation would set it
        torch.set_num_threads(1)
        _keep_matrix_products_on_one_core()
        all_started.wait()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="napari-sam-core", initializer=begin)
    for _ in range(workers):
        pool.submit(lambda: None)
    all_started.wait()
    # The setting is per thread, except for future threads and for matrix products, where the last
    # call counts.
    torch.set_num_threads(workers)
    return pool


def _keep_matrix_products_on_one_core() -> None:
    """Limit Intel's library, where torch uses it; it ignores the limit set through torch."""
    folder = Path(torch.__file__).parent / "lib"
    for library in folder.glob("*torch_cpu.*"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).MKL_Set_Num_Threads_Local(1)
