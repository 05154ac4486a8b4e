"""Go through very many items on a background thread without holding up the window.

Threads of one interpreter take turns. The thread of the window gives its turn away for each call
into Qt and OpenGL, of which a repaint has hundreds, and would get it back only some milliseconds
later each time, while another thread runs Python without a pause.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

_STRETCH_S: Final = 0.002
_THREAD: Final = threading.local()
_T = TypeVar("_T")


@contextmanager
def resting_with(rest: Callable[[], None] | None) -> Iterator[None]:
    """Call `rest`, which lets others run, now and then while this thread goes through `paced`.

    None while the thread holds what others wait for.
    """
    former, _THREAD.rests_by = getattr(_THREAD, "rests_by", None), rest
    try:
        yield
    finally:
        _THREAD.rests_by = former


def paced(items: Iterable[_T]) -> Iterator[_T]:
    """Yield the items; on a thread that is `resting_with` something, rest now and then."""
    rest = getattr(_THREAD, "rests_by", None)
    if rest is None:
        yield from items
        return
    for item in items:
        if time.monotonic() >= getattr(_THREAD, "due_s", 0.0):
            rest()
            _THREAD.due_s = time.monotonic() + _STRETCH_S
        yield item
