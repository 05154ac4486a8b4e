"""The computer and the software that are measured."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import psutil
import torch

from napari_sam import __version__
from napari_sam._distribution import DISTRIBUTION, installed_versions

_PACKAGES = ("torch", "numpy", "napari", "qtpy", "PyQt6", "PySide6", "onnxruntime", "transformers")


def describe_machine(device: str) -> dict[str, str]:
    """Describe this computer, without anything that identifies its owner."""
    logical = psutil.cpu_count()
    physical = psutil.cpu_count(logical=False) or logical
    gpu = "none usable by torch" if device == "cpu" else device
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_name(device if device.startswith("cuda") else None)
    return {
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processor": _processor(),
        "cores": f"{physical} ({logical} logical)",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "gpu": gpu,
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages involved."""
    ours = {DISTRIBUTION: __version__, "Python": platform.python_version()}
    return ours | installed_versions(*_PACKAGES)


def _processor() -> str:
    """Return the product name of the processor, if the system knows it."""
    name = ""
    if sys.platform.startswith("linux"):
        lines = Path("/proc/cpuinfo").read_text()
        if match := re.search(r"^model name\s*:\s*(.+)$", lines, re.MULTILINE):
            name = match[1]
    elif sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return name or platform.processor() or platform.machine()
