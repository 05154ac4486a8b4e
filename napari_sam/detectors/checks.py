"""Let a running model be interrupted between its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def checked(model: Any, check: Callable[[], None]) -> Iterator[None]:
    """Call `check` before each layer of a model of torch; an exception it raises ends the run."""
    from torch.nn import ModuleList

    handles = [
        layer.register_forward_pre_hook(lambda *_: check())
        for layers in model.modules()
        if isinstance(layers, ModuleList)
        for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
