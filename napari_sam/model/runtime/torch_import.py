"""Importing torch so that neither the import nor its threads disturb a window.

Runs when it is imported, which has to be before anything else imports torch.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path


def _wait_passively() -> None:
    """Have torch's worker threads sleep rather than spin while they wait for each other.

    OpenMP's threads spin by default. As soon as anything else wants a processor core - napari
    repainting, another program - a spinning thread keeps the core from the very thread it waits
    for: on two busy cores an encode then took ten times as long. OpenMP reads this when it is
    loaded; a choice that is made already is respected.

    A spin of some microseconds first, which GNU's library can be told, costs nothing even then:
    where the cores are free, a decode of two hundred short steps takes a fifth less time.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "6000")


def _use_huge_pages() -> None:
    """Have torch ask Linux for large pages of memory, for what it allocates in megabytes.

    The activations of an encoder come and go; in small pages, tens of thousands of them are
    handed out and taken back for each image, which costs some five percent of its time.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def _load_libraries() -> None:
    """Load torch's largest libraries with the interpreter lock released.

    Python holds the lock while it loads an extension module's libraries; for torch's half a
    gigabyte that stops every other thread for a quarter of a second. A call through ctypes
    releases it, and what is loaded already costs the import nothing. Where this is not possible
    (Windows, an unusual installation) torch is imported as ever.
    """
    spec = importlib.util.find_spec("torch")
    if os.name != "posix" or spec is None or spec.origin is None:
        return
    suffix = "dylib" if sys.platform == "darwin" else "so"
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
    for library in ("libtorch_cpu", "libtorch_cuda", "libtorch_python"):
        path = Path(spec.origin).parent / "lib" / f"{library}.{suffix}"
        if path.exists():
            dlopen(os.fsencode(path), os.RTLD_LAZY)


if "torch" not in sys.modules:
    _wait_passively()
    _use_huge_pages()
    _load_libraries()
