"""Measurements that need a Python process of their own."""

import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from napari_sam.bench.options import BenchError, Options

_TIMEOUT_S = 600


def run_apart(module: str, options: Options) -> dict[str, Any]:
    """Run a module of this package with options; return its `report`."""
    command = [sys.executable, "-m", module, json.dumps(asdict(options))]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"it took more than {_TIMEOUT_S} s") from error
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        errors = done.stderr.strip().splitlines()
        raise BenchError(errors[-1] if errors else f"exit code {done.returncode}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def options_of_process() -> Options:
    """Return the options that `run_apart` passed to this process."""
    return Options(**json.loads(sys.argv[1]))


def report(result: dict[str, Any]) -> None:
    """Return the result to `run_apart`."""
    sys.stdout.write(f"\n{json.dumps(result)}\n")
