"""Many computations side by side on a processor, each on a core of its own."""

from __future__ import annotations

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
    """Call a function for each item, as many at a time as torch uses threads.

    Steps that are too small for several cores, of which a decode has two hundred, then leave no
    core idle. The function should spend its time inside torch, with the interpreter lock
    released.

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
    everyone_is_here = threading.Barrier(workers + 1)

    def begin() -> None:
        torch.get_num_threads()  # which would else set it, when the first computation asks
        torch.set_num_threads(1)
        _keep_matrix_products_on_one_core()
        everyone_is_here.wait()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="napari-sam-core", initializer=begin)
    for _ in range(workers):
        pool.submit(lambda: None)
    everyone_is_here.wait()
    # The number is each thread's own, except for threads that are yet to come, and for matrix
    # products: there the last word counts.
    torch.set_num_threads(workers)
    return pool


def _keep_matrix_products_on_one_core() -> None:
    """Tell Intel's library, where torch has it, what it would not hear from torch alone."""
    folder = Path(torch.__file__).parent / "lib"
    for library in folder.glob("*torch_cpu.*"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).MKL_Set_Num_Threads_Local(1)
