"""Importing torch on a background thread without freezing the window."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path


def import_torch_gently() -> None:
    """Import torch, having loaded its largest libraries with the interpreter lock released.

    Python loads an extension module's libraries while holding the lock; for torch's half a
    gigabyte that stops every other thread for a quarter of a second. A call through ctypes
    releases it, and what is loaded already costs the import nothing. Where this is not possible
    (Windows, an unusual installation) torch is imported as ever.
    """
    if "torch" not in sys.modules and os.name == "posix":
        spec = importlib.util.find_spec("torch")
        if spec is not None and spec.origin is not None:
            suffix = "dylib" if sys.platform == "darwin" else "so"
            dlopen = ctypes.CDLL(None).dlopen
            dlopen.argtypes, dlopen.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
            for library in ("libtorch_cpu", "libtorch_cuda", "libtorch_python"):
                path = Path(spec.origin).parent / "lib" / f"{library}.{suffix}"
                if path.exists():
                    dlopen(os.fsencode(path), os.RTLD_LAZY)
    import torch  # noqa: F401
