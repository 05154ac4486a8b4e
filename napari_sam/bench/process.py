"""Measurements that need a Python process of their own."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any

from napari_sam.bench.options import BenchError, Options
from napari_sam.storage.folders import SETTINGS_VARIABLE

_TIMEOUT_S = 600


def run_apart(module: str, options: Options) -> dict[str, Any]:
    """Call `measure` of a module with options, in a process; return what it returns."""
    command = [sys.executable, "-m", __name__, module, json.dumps(asdict(options))]
    # With the default options: those that the user keeps would change the times.
    with TemporaryDirectory() as folder:
        environment = {**os.environ, SETTINGS_VARIABLE: folder}
        how: Any = {"capture_output": True, "text": True, "check": False, "env": environment}
        try:
            done = subprocess.run(command, timeout=_TIMEOUT_S, **how)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"it took more than {_TIMEOUT_S} s") from error
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        errors = done.stderr.strip().splitlines()
        raise BenchError(errors[-1] if errors else f"exit code {done.returncode}")
    return dict(json.loads(lines[-1]))


if __name__ == "__main__":
    measured = import_module(sys.argv[1]).measure(Options(**json.loads(sys.argv[2])))
    sys.stdout.write(f"\n{json.dumps(measured)}\n")
