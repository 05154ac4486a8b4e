"""Import torch so that neither the import nor its threads disturb a window.

Takes effect on import, which must happen before any other import of torch.
"""

import ctypes
import importlib.util
import os
import sys
from contextlib import suppress
from pathlib import Path


def _wait_passively() -> None:
    """Let torch's worker threads sleep rather than spin while they wait for each other.

    OpenMP's threads spin by default. As soon as napari repaints or another program needs a core,
    a spinning thread blocks the core for the thread that it waits for: on two busy cores an encode
    took ten times as long. OpenMP reads these variables when it is loaded; values that the user
    has set are kept.

    GNU's library can spin for a few microseconds first. That costs nothing on busy cores, and on
    free ones it makes a decode of two hundred short steps faster by a fifth.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "6000")


def _use_huge_pages() -> None:
    """Let torch use large pages of memory on Linux for large allocations.

    The activations of an encoder are short-lived; with small pages, tens of thousands of them are
    allocated and freed per image, which costs about five percent of its time.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def _origin(package: str) -> Path | None:
    """Return the file of a package; None if it has none, or is not installed."""
    spec = importlib.util.find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin)


def _load_libraries() -> None:
    """Load torch's largest libraries with the interpreter lock released.

    Python holds the lock while it loads the libraries of an extension module; torch's half a
    gigabyte stops all other threads for a quarter of a second. A call through ctypes releases the
    lock, and libraries that are already loaded cost the import nothing. Where this is impossible
    (Windows, an unusual installation), torch is imported as usual.
    """
    origin = _origin("torch")
    if sys.platform == "win32" or origin is None:
        return
    suffix = "dylib" if sys.platform == "darwin" else "so"
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
    for library in ("libtorch_cpu", "libtorch_cuda", "libtorch_python"):
        path = origin.parent / "lib" / f"{library}.{suffix}"
        if path.exists():
            dlopen(os.fsencode(path), os.RTLD_LAZY)


def _load_triton_apart() -> None:
    """Keep the compiler in triton, which torch may import, apart from that of the graphics driver.

    Both are LLVM. Mesa's drivers make theirs visible to all libraries that are loaded later, and
    when triton's binds to it, the program crashes. Once a library is loaded, and bound to itself
    first, every import uses that. It is not read before it is used, so this takes milliseconds.
    """
    origin = _origin("triton")
    if origin is not None and hasattr(os, "RTLD_DEEPBIND"):  # as in the GNU library
        with suppress(OSError):
            ctypes.CDLL(str(origin.parent / "_C" / "libtriton.so"), os.RTLD_LAZY | os.RTLD_DEEPBIND)


if "torch" not in sys.modules:
    _wait_passively()
    _use_huge_pages()
    _load_libraries()
_load_triton_apart()
