"""Schedulers, workers and commands of `cluster.py`, and what their results must be like."""

import io
import json
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import imageio.v3 as imageio
import numpy as np
import tifffile
from distributed.cli import dask_scheduler, dask_worker

from napari_sam.cli.main import main as napari_sam_command

TIMEOUT_S: Final = 600
N_IMAGES: Final = 4
FEW: Final = ("--points-per-side", "3", "--pred-iou-thresh", "0.5")
_FORK: Final = multiprocessing.get_context("fork")


class Program:
    """A program in a process forked from this one, which has imported what takes long."""

    def __init__(
        self,
        main: Callable[[list[str]], object],
        *arguments: object,
        log: Path,
        cwd: Path | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log

        def run() -> None:
            for number, suffix in ((1, ".out"), (2, ".err")):
                os.dup2(os.open(log.with_suffix(suffix), os.O_WRONLY | os.O_CREAT), number)
            os.chdir(cwd or log.parent)
            # What runs in the background of a shell is born deaf to Ctrl-C.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            before()
            main([str(argument) for argument in arguments])

        self._process = _FORK.Process(target=run)
        self._process.start()

    def send_signal(self, number: int) -> None:
        """Send a signal, if there still is somebody to get it."""
        with suppress(ProcessLookupError):
            os.kill(self._process.pid or 0, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the end; return the exit code, None if it goes on."""
        self._process.join(timeout_s)
        return self._process.exitcode

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._log.with_suffix(".out").read_text()

    @property
    def errors(self) -> str:
        """What it has printed to stderr."""
        return self._log.with_suffix(".err").read_text()


def picture(seed: int) -> np.ndarray:
    """Return bright rectangles on a dark background."""
    generator = np.random.default_rng(seed)
    image = generator.integers(20, 40, (60, 80, 3), np.uint8)
    for top, left in ((8, 8), (8, 45), (34, 26)):
        image[top : top + 18, left : left + 24] = generator.integers(120, 255, 3)
    return image


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    errors: str


class Cluster:
    """A scheduler and its workers, each a process of this computer."""

    def __init__(self, folder: Path, n_workers: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.programs: list[Program] = []
        self.workers: list[Program] = []
        self.start_scheduler()
        for _ in range(n_workers):
            self.start_worker()

    def start_scheduler(self, port: int = 0) -> None:
        """Start a scheduler."""
        log = self._log("scheduler")
        file = log.with_suffix(".json")
        address = ("--host", "127.0.0.1", "--port", port, "--scheduler-file", file)
        self.scheduler = Program(dask_scheduler.main, *address, "--no-dashboard", log=log)
        self.programs.append(self.scheduler)
        deadline = time.monotonic() + TIMEOUT_S
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.address = str(json.loads(file.read_text())["address"])

    def start_worker(self, before: Callable[[], None] = lambda: None) -> Program:
        """Start a worker."""
        options = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        log = self._log("worker")
        worker = Program(dask_worker.main, self.address, *options, log=log, before=before)
        self.programs.append(worker)
        self.workers.append(worker)
        return worker

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}{len(self.programs)}.log"

    def stop(self) -> None:
        """End all programs."""
        for program in self.programs:
            program.kill()
            program.wait()


class Stage:
    """The images, the results of an undisturbed run, and the scenarios."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.images = folder / "images"
        self.images.mkdir()
        for number in range(N_IMAGES):
            imageio.imwrite(self.images / f"image{number}.png", picture(number))
        self.wrong: list[str] = []
        self.codes: dict[int, int] = {}
        self._number = 0
        undisturbed = folder / "undisturbed"
        outcome = self.finish(self.start(undisturbed))
        assert outcome.code == 0, outcome.errors
        self.expected = files(undisturbed)

    def results(self) -> Path:
        """Return a new folder."""
        self._number += 1
        return self.folder / f"results{self._number}"

    def start(
        self, results: Path, *arguments: Any, images: Path | None = None, cwd: Path | None = None
    ) -> Program:
        """Start the command."""
        self._number += 1
        images = images or self.images
        command = ("automatic", images, "-o", results, "--format", "tiff,coco", *FEW, "--json")
        log = self.folder / f"command{self._number}.log"
        return Program(napari_sam_command, *command, *arguments, log=log, cwd=cwd)

    def finish(self, program: Program, timeout_s: float = TIMEOUT_S) -> Outcome:
        """Wait for the end of a command."""
        code = program.wait(timeout_s)
        if code is None:
            program.kill()
            code = program.wait()
            self.wrong.append("it hangs")
        assert code is not None
        if "Traceback" in program.errors or "Traceback" in program.output:
            self.wrong.append(f"traceback: {program.errors[-3000:]}")
        self.codes[code] = self.codes.get(code, 0) + 1
        return Outcome(code, program.errors)

    def expect(self, is_right: bool, what: str) -> None:
        """Note what is wrong."""
        if not is_right:
            self.wrong.append(what)

    def expect_code(self, outcome: Outcome, *codes: int) -> None:
        """Note another exit code."""
        self.expect(outcome.code in codes, f"exit code {outcome.code}: {outcome.errors[-800:]}")

    def expect_whole(self, results: Path) -> None:
        """Note every name that belongs to half a file, before anything is continued."""
        for name, content in files(results).items():
            try:
                if name.endswith(".tif"):
                    tifffile.imread(io.BytesIO(content))
                else:
                    json.loads(content)
            except Exception as error:
                self.wrong.append(f"{name} is half a file ({error!r})")

    def expect_continued(self, results: Path, *arguments: Any) -> None:
        """Run the command again, and note how the results differ from the undisturbed ones."""
        self.expect_whole(results)
        outcome = self.finish(self.start(results, *arguments))
        self.expect_code(outcome, 0)
        self.expect_results(results)

    def expect_results(self, results: Path) -> None:
        """Note how the results differ from the undisturbed ones."""
        difference = compare(files(results), self.expected)
        self.expect(not difference, f"results differ: {difference}")
        parts = [path.name for path in results.rglob("*.part")]
        self.expect(not parts, f"left behind: {parts}")

    def wait_for_results(self, program: Program, results: Path, n: int) -> None:
        """Wait until so many images are done."""
        deadline = time.monotonic() + TIMEOUT_S
        while len(list(results.glob("*.tif"))) < n and program.wait(0) is None:
            if time.monotonic() > deadline:
                self.wrong.append("nothing happens")
                return
            time.sleep(0.02)

    @contextmanager
    def cluster(self, n_workers: int = 2) -> Iterator[Cluster]:
        """Start a cluster, and end it."""
        cluster = Cluster(self.folder, n_workers)
        try:
            yield cluster
        finally:
            cluster.stop()


def files(folder: Path) -> dict[str, bytes]:
    """Return the finished files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".part" not in str(path.relative_to(folder))
    }


def compare(results: dict[str, bytes], expected: dict[str, bytes]) -> str:
    """Return how files differ; pixels and records exactly, scores within a rounding error."""
    if results.keys() != expected.keys():
        return f"files {sorted(results.keys() ^ expected.keys())}"
    for name, content in results.items():
        if name.endswith(".tif"):
            pixels = [tifffile.imread(io.BytesIO(file)) for file in (content, expected[name])]
            if not np.array_equal(*pixels):
                return name
            continue
        parsed = [json.loads(file) for file in (content, expected[name])]
        if name.startswith(".napari-sam"):
            for record in parsed:  # sizes of JSON files vary with the digits of scores
                record["files"] = sorted(record["files"])
        else:
            scores = [[obj.pop("score") for obj in file["annotations"]] for file in parsed]
            if not np.allclose(*scores, atol=1e-4):
                return f"scores of {name}"
        if parsed[0] != parsed[1]:
            return name
    return ""


def start_again(address: str, folder: Path) -> None:
    """Replace a worker by one that finds the package in another folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    os.execve(sys.executable, [*command, "--no-nanny", "--no-dashboard"], environment)


def answer_all(server: "socket.socket", answer: bytes) -> None:
    """Accept connections, send each of them the same, and keep it open."""
    connections = []
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            connections.append(connection)
            connection.sendall(answer)
