"""Kill commands that write files, again and again, and see what is left under which name.

    python benchmarks/killed_commands.py [--kills 20] [--only convert]

`download`, `embed`, `convert` and `export-onnx` run in processes forked from this one and are
killed (SIGKILL) at a random moment of the time that they take undisturbed. Files that have their
final names then have to be whole, the same command has to complete what is missing, and in the end
there has to be exactly what an undisturbed command writes. Downloads come from a server in this
process, at the speed of a real one.

Ends with status 1 if anything of that is wrong. Partial files of killed commands are counted: those
beside a file are removed by a later command once they are a day old, downloads by the next one.
"""

import argparse
import dataclasses
import hashlib
import http.server
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

import napari_sam.cli.open_images
from napari_sam.catalogue import download, table
from napari_sam.cli.main import main as napari_sam
from napari_sam.model import Predictor, load_model
from napari_sam.storage.atomic import remove_abandoned

N_SLICES: Final = 4
_CHUNK_BYTES: Final = 2**20


def in_fork(action: Callable[[], Any], log: Path) -> int:
    """Run something in another process that prints to a file; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        action()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:
        os.write(2, f"Traceback: {error!r}\n".encode())
    finally:
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


class Command:
    """A command that writes into a folder."""

    name = ""

    def __init__(self, base: Path) -> None:
        self.base = base

    def run(self, folder: Path) -> None:
        """Do it, in a process of its own."""
        raise NotImplementedError

    def broken(self, folder: Path) -> list[str]:
        """Return the files with final names that an undisturbed command does not write so."""
        expected = {path.name: digest(path) for path in finished(self.base / self.name)}
        return [path.name for path in finished(folder) if digest(path) != expected.get(path.name)]

    def clean(self, folder: Path) -> None:
        """Do what later commands do with leftovers that are old enough."""
        remove_abandoned(folder, age_s=-1)


class Download(Command):
    """`napari-sam download` from a server nearby."""

    name = "download"

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        assert table.BUNDLED.bundled is not None
        self.content = table.BUNDLED.bundled.read_bytes()[: 12 * _CHUNK_BYTES]
        content = self.content

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                with suppress(OSError):
                    for start in range(0, len(content), _CHUNK_BYTES):
                        self.wfile.write(content[start : start + _CHUNK_BYTES])
                        time.sleep(0.05)

            def log_message(self, *_: Any) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def run(self, folder: Path) -> None:
        """Download a model of ours."""
        model = dataclasses.replace(
            table.MODELS[-1],
            url=f"http://127.0.0.1:{self.server.server_port}/model",
            sha256=hashlib.sha256(self.content).hexdigest(),
            size_bytes=len(self.content),
            file_name="model.pth",
            bundled=None,
        )
        download.download(model, folder=folder)

    def clean(self, folder: Path) -> None:
        """Leave it to the next download."""


class Embed(Command):
    """`napari-sam embed` of a stack."""

    name = "embed"

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.stack = base / "stack.tif"
        noise = np.random.default_rng(0).integers(0, 255, (N_SLICES, 64, 64), np.uint8)
        tifffile.imwrite(self.stack, noise, photometric="minisblack")

    def run(self, folder: Path) -> None:
        """Embed all slices."""
        os.environ["NAPARI_SAM_EMBEDDINGS"] = str(folder)
        napari_sam(["embed", "--device", "cpu", str(self.stack)])

    def broken(self, folder: Path) -> list[str]:
        """Compare values: the last digits depend on where in memory they were computed."""
        names = []
        for path in finished(folder):
            expected = load_file(self.base / self.name / path.name)
            arrays = load_file(path)
            is_same = arrays.keys() == expected.keys() and all(
                np.allclose(arrays[name], expected[name], atol=1e-3) for name in arrays
            )
            names += [] if is_same else [path.name]
        return names


class Convert(Command):
    """`napari-sam convert` of the bundled model."""

    name = "convert"

    def run(self, folder: Path) -> None:
        """Convert it."""
        folder.mkdir(exist_ok=True)
        target = folder / "model.safetensors"
        napari_sam(["convert", "--overwrite", str(table.BUNDLED.bundled), str(target)])

    def broken(self, folder: Path) -> list[str]:
        """Read the file as well."""
        for path in finished(folder):
            with safe_open(path, "pt") as file:
                assert file.keys()
        return super().broken(folder)


class ExportOnnx(Command):
    """`napari-sam export-onnx` of the bundled model."""

    name = "export-onnx"

    def run(self, folder: Path) -> None:
        """Export it."""
        napari_sam(["export-onnx", "--overwrite", str(folder)])

    def clean(self, folder: Path) -> None:
        """Unfinished folders have a name of their own, and stay."""


COMMANDS: Final = (Download, Embed, Convert, ExportOnnx)


def finished(folder: Path) -> list[Path]:
    """Return the files with final names."""
    paths = [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
    return [path for path in paths if not unfinished(path.relative_to(folder))]


def unfinished(path: Path) -> bool:
    """Whether a name says that the file is unfinished."""
    return any(part.endswith(".part") or part.startswith(".download-") for part in path.parts)


def digest(path: Path) -> str:
    """Return a digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def try_command(command: Command, n_kills: int, chance: random.Random) -> tuple[int, int]:
    """Kill a command so often; return how often it had not ended, and how often it went wrong."""
    log = command.base / f"{command.name}.log"
    begun = time.monotonic()
    pid = in_fork(lambda: command.run(command.base / command.name), log)
    assert os.waitpid(pid, 0)[1] == 0, log.read_text()
    duration_s = time.monotonic() - begun
    n_expected = len(finished(command.base / command.name))
    n_killed = n_wrong = n_partial = n_between = 0
    for number in range(n_kills):
        folder = command.base / f"{command.name} {number}"
        pid = in_fork(lambda folder=folder: command.run(folder), log)
        time.sleep(chance.uniform(0, 1.1 * duration_s))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        n_killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        wrong = [f"half written: {name}" for name in command.broken(folder)]
        n_between += 0 < len(finished(folder)) < n_expected
        n_partial += any(
            unfinished(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
        )
        pid = in_fork(lambda folder=folder: command.run(folder), log)
        if os.waitpid(pid, 0)[1] != 0:
            wrong.append("it cannot be continued")
        wrong += [f"wrong: {name}" for name in command.broken(folder)]
        if len(finished(folder)) != n_expected:
            wrong.append(f"{len(finished(folder))} files instead of {n_expected}")
        command.clean(folder)
        left = [str(path) for path in folder.rglob("*") if unfinished(path.relative_to(folder))]
        if left and not isinstance(command, ExportOnnx):
            wrong.append(f"left behind: {left}")
        n_wrong += bool(wrong)
        if wrong:
            print(f"{command.name} {number}: {'; '.join(wrong)}", flush=True)
    if "Traceback" in log.read_text():
        n_wrong += 1
        print(f"{command.name}: {log.read_text()[-3000:]}")
    print(
        f"{command.name}: takes {duration_s:.1f} s, {n_killed} of {n_kills} killed before the end, "
        f"{n_between} with some of the files, {n_partial} with a partial file, {n_wrong} wrong",
        flush=True,
    )
    return n_killed, n_wrong


def main() -> None:
    """Kill all commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each command")
    parser.add_argument("--only", default="", help="commands whose names contain this")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # more of them would not outlive the fork
    load_model("vit_t")  # imports what forks need
    assert Predictor
    n_killed = n_wrong = 0
    with tempfile.TemporaryDirectory() as base:
        os.environ["XDG_CACHE_HOME"] = base
        os.environ["NAPARI_CONFIG"] = f"{base}/settings.yaml"
        for kind in COMMANDS:
            if arguments.only in kind.name:
                chance = random.Random(arguments.seed)
                killed, wrong = try_command(kind(Path(base)), arguments.kills, chance)
                n_killed, n_wrong = n_killed + killed, n_wrong + wrong
    print(f"{n_killed} commands killed, {n_wrong} wrong")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
