"""Disturb `napari-sam automatic --scheduler` in every way that happens, and see what is left.

    python benchmarks/cluster.py [--rounds 5] [--only worker disk] [--seed 0]

Real schedulers, workers and commands on this computer work on small images. Each scenario disturbs
one run: workers, the scheduler or the command are killed or stop at a random moment, the disk fills
up, an image is deleted. Then the same command runs once more, on a sound cluster. All files must be
those of an undisturbed run, no unfinished ones may be left, no program may print a traceback, and
the exit codes must be those that the command documents.

Ends with status 1 if anything is wrong. Needs Linux, and root for the full and the read-only disk.
"""

import argparse
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import dask
import torch
from cluster_stage import N_IMAGES, TIMEOUT_S, Stage, answer_all, start_again

import napari_sam.batch.cluster
import napari_sam.layers.conversion
from napari_sam.catalogue.table import BUNDLED
from napari_sam.model import load_model


def worker_killed(stage: Stage) -> None:
    """Kill workers at random moments, and start others."""
    results = stage.results()
    with stage.cluster() as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        for _ in range(stage.random.randint(1, 3)):
            stage.wait_for_results(command, results, 1)
            time.sleep(stage.random.uniform(0, 2))
            stage.random.choice(cluster.workers).kill()
            cluster.start_worker()
        outcome = stage.finish(command)
        stage.expect_code(outcome, 0, 1)
        if outcome.code == 0:
            stage.expect_results(results)
        stage.expect_continued(results, "--scheduler", cluster.address)


def all_workers_killed(stage: Stage) -> None:
    """Kill all workers, and start others after a while."""
    results = stage.results()
    with stage.cluster() as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        stage.wait_for_results(command, results, stage.random.randint(1, 4))
        for worker in cluster.workers:
            worker.kill()
        time.sleep(stage.random.uniform(0, 2))
        cluster.start_worker()
        stage.expect_code(stage.finish(command), 0)
        stage.expect_results(results)


def scheduler_killed(stage: Stage) -> None:
    """Kill the scheduler; the command must end and say so, and continue on another cluster."""
    results = stage.results()
    with stage.cluster() as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        stage.wait_for_results(command, results, 1)
        time.sleep(stage.random.uniform(0, 2))
        cluster.scheduler.kill()
        outcome = stage.finish(command)
        stage.expect_code(outcome, 0, 1)
        if outcome.code:
            stage.expect("run the command again" in outcome.errors, f"no advice: {outcome.errors}")
    stage.expect_continued(results)


def scheduler_killed_early(stage: Stage) -> None:
    """Kill the scheduler while the command still connects or submits."""
    results = stage.results()
    with stage.cluster(1) as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        time.sleep(stage.random.uniform(0.5, 6))
        cluster.scheduler.kill()
        stage.expect_code(stage.finish(command), 0, 1, 2)
    stage.expect_continued(results)


def scheduler_restarted(stage: Stage) -> None:
    """Kill the scheduler, and start another one at once at the same address."""
    results = stage.results()
    with stage.cluster() as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        stage.wait_for_results(command, results, 1)
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        cluster.start_scheduler(int(cluster.address.rpartition(":")[2]))
        stage.expect_code(stage.finish(command), 0, 1)
        cluster.start_worker()
        stage.expect_continued(results, "--scheduler", cluster.address)


def _client_ended(stage: Stage, number: int, codes: tuple[int, ...]) -> None:
    results = stage.results()
    with stage.cluster() as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        if stage.random.random() < 0.3:  # while it starts
            time.sleep(stage.random.uniform(0.1, 5))
        else:
            stage.wait_for_results(command, results, stage.random.randint(1, N_IMAGES - 2))
            time.sleep(stage.random.uniform(0, 0.5))
        command.send_signal(number)
        stage.expect_code(stage.finish(command, 60), *codes)
        # At once, while the workers may still be at the images of the command that is gone.
        stage.expect_continued(results, "--scheduler", cluster.address)


def client_interrupted(stage: Stage) -> None:
    """Press Ctrl-C, and continue at once."""
    _client_ended(stage, signal.SIGINT, (130, 0))


def client_terminated(stage: Stage) -> None:
    """End the command as a queueing system does, and continue at once."""
    _client_ended(stage, signal.SIGTERM, (130, 0, 143, -signal.SIGTERM))


def client_killed(stage: Stage) -> None:
    """Kill the command, and continue at once."""
    _client_ended(stage, signal.SIGKILL, (-signal.SIGKILL, 0))


def two_clients(stage: Stage) -> None:
    """Start the command twice for one folder, against the advice."""
    results = stage.results()
    with stage.cluster() as cluster:
        commands = []
        for _ in range(2):
            commands.append(stage.start(results, "--scheduler", cluster.address))
            time.sleep(stage.random.uniform(0, 4))
        for command in commands:
            stage.expect_code(stage.finish(command), 0, 1)
        stage.expect_continued(results, "--scheduler", cluster.address)


def worker_hangs(stage: Stage) -> None:
    """Stop a worker (SIGSTOP): the scheduler gives its images to the other one."""
    results = stage.results()
    with stage.cluster() as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        stage.wait_for_results(command, results, 1)
        stage.random.choice(cluster.workers).send_signal(signal.SIGSTOP)
        stage.expect_code(stage.finish(command), 0)
        stage.expect_results(results)


def interrupted_while_all_hang(stage: Stage) -> None:
    """Press Ctrl-C while no worker answers."""
    results = stage.results()
    with stage.cluster() as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        stage.wait_for_results(command, results, 1)
        for worker in cluster.workers:
            worker.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        command.send_signal(signal.SIGINT)
        stage.expect_code(stage.finish(command, 60), 130)
    stage.expect_continued(results)


def scheduler_hangs(stage: Stage) -> None:
    """Stop the scheduler (SIGSTOP), and press Ctrl-C."""
    results = stage.results()
    with stage.cluster() as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        stage.wait_for_results(command, results, 1)
        cluster.scheduler.send_signal(signal.SIGSTOP)
        time.sleep(1)
        command.send_signal(signal.SIGINT)
        stage.expect_code(stage.finish(command, 60), 130)
    stage.expect_continued(results)


def no_workers(stage: Stage) -> None:
    """Wait for workers that come late, or press Ctrl-C."""
    results = stage.results()
    with stage.cluster(0) as cluster:
        command = stage.start(results, "--scheduler", cluster.address)
        time.sleep(6)
        command.send_signal(signal.SIGINT)
        outcome = stage.finish(command, 60)
        stage.expect_code(outcome, 130)
        stage.expect("no workers yet" in outcome.errors, f"not said: {outcome.errors}")
        command = stage.start(results, "--scheduler", cluster.address)
        time.sleep(4)
        cluster.start_worker()
        stage.expect_code(stage.finish(command), 0)
        stage.expect_results(results)


def no_scheduler(stage: Stage) -> None:
    """Give addresses at which there is no scheduler."""
    results = stage.results()
    addresses = ("nonsense", "", "tcp://127.0.0.1", "tcp://127.0.0.1:9", "tcp://127.0.0.1:999999")
    addresses += ("http://127.0.0.1:8786", "tls://127.0.0.1:9", "127.0.0.1:x", "ucx://127.0.0.1:1")
    addresses += ("tcp://no-such-host.invalid:8786", "inproc://1/2/3", "tcp://[::1", "../file.json")
    for address in addresses:
        outcome = stage.finish(stage.start(results, "--scheduler", address))
        stage.expect(outcome.code == 2, f"{address}: {outcome.code} {outcome.errors[-600:]}")


def deaf_scheduler(stage: Stage) -> None:
    """Connect to a port whose owner accepts and never answers, and to one that talks nonsense."""
    for answer in (b"", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 64, b"\xff" * 64):
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=answer_all, args=[server, answer], daemon=True).start()
            address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
            outcome = stage.finish(stage.start(stage.results(), "--scheduler", address), 90)
            stage.expect_code(outcome, 2)


def image_deleted(stage: Stage) -> None:
    """Delete an image while the others are done."""
    results, images = stage.results(), stage.folder / f"images{stage.random.random()}"
    shutil.copytree(stage.images, images)
    with stage.cluster(1) as cluster:
        command = stage.start(results, "--scheduler", cluster.address, images=images)
        stage.wait_for_results(command, results, 1)
        (images / f"image{N_IMAGES - 1}.png").unlink()
        outcome = stage.finish(command)
        stage.expect_code(outcome, 1)
        stage.expect("no such file" in outcome.errors, outcome.errors[-300:])
    shutil.copy(stage.images / f"image{N_IMAGES - 1}.png", images)
    stage.expect_whole(results)
    stage.expect_code(stage.finish(stage.start(results, images=images)), 0)
    stage.expect_results(results)


def small_files_only(stage: Stage) -> None:
    """Let a worker write no file beyond some size, as on a full disk."""
    results = stage.results()
    limit = stage.random.choice((0, 100, 700, 1500))

    def limit_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with stage.cluster(0) as cluster:
        worker = cluster.start_worker(limit_files)
        command = stage.start(results, "--scheduler", cluster.address)
        outcome = stage.finish(command)
        stage.expect_code(outcome, 1)
        worker.kill()
    stage.expect_continued(results)


def full_disk(stage: Stage) -> None:
    """Let the disk of the results fill up."""
    results = stage.results()
    results.mkdir()
    size_kib = stage.random.choice((16, 40, 80))
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", results], check=True
    )
    try:
        with stage.cluster(1) as cluster:
            outcome = stage.finish(stage.start(results, "--scheduler", cluster.address))
            stage.expect_code(outcome, 1)
            stage.expect("cannot be written" in outcome.errors, outcome.errors[-500:])
            stage.expect_whole(results)
            subprocess.run(["mount", "-o", "remount,size=8m", results], check=True)
            stage.expect_continued(results, "--scheduler", cluster.address)
    finally:
        subprocess.run(["umount", "-l", results], check=False)


def read_only(stage: Stage) -> None:
    """Make the disk of the results read-only, before the run and during it."""
    for is_before in (True, False):
        results = stage.results()
        results.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", results], check=True)
        protect = ["mount", "-o", "remount,ro", results]
        try:
            with stage.cluster(1) as cluster:
                if is_before:
                    subprocess.run(protect, check=True)
                command = stage.start(results, "--scheduler", cluster.address)
                if not is_before:
                    stage.wait_for_results(command, results, 2)
                    while subprocess.run(
                        protect, check=False, stderr=subprocess.DEVNULL
                    ).returncode:
                        time.sleep(0.01)
                outcome = stage.finish(command)
                stage.expect_code(outcome, 1, 2)
                stage.expect("Read-only" in outcome.errors, outcome.errors[-500:])
                subprocess.run(["mount", "-o", "remount,rw", results], check=True)
                stage.expect_continued(results, "--scheduler", cluster.address)
        finally:
            subprocess.run(["umount", "-l", results], check=False)


def another_version(stage: Stage) -> None:
    """Have workers with another version of the package, with another command, and with none."""
    package = Path(napari_sam.__file__).parent
    for name in ("none", "other command", "other version"):
        folder = stage.folder / f"version {name}{stage.random.random()}"
        copy = folder / "napari_sam"
        shutil.copytree(
            package, copy, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors")
        )
        (copy / BUNDLED.bundled.relative_to(package)).symlink_to(BUNDLED.bundled)
        if name == "none":
            (copy / "__init__.py").write_text("raise ImportError('none')")
        elif name == "other command":
            (copy / "batch" / "cluster.py").unlink()
        else:
            (copy / "__init__.py").write_text("__version__ = '0.0.1'")
        results = stage.results()
        with stage.cluster(0) as cluster:
            cluster.start_worker(partial(start_again, cluster.address, folder))
            outcome = stage.finish(stage.start(results, "--scheduler", cluster.address))
            stage.expect_code(outcome, 1)
            stage.expect("install" in outcome.errors, f"no advice: {outcome.errors[-500:]}")
            print(f"    {name}: {outcome.errors[-300:]}")
        stage.expect_continued(results)


def model_missing(stage: Stage) -> None:
    """Let the file of the model be missing where the workers look for it."""
    own = stage.folder / f"own{stage.random.random()}.safetensors"
    shutil.copy(BUNDLED.bundled, own)
    for is_deleted in (False, True):
        results = stage.results()
        with stage.cluster(1) as cluster:
            # A relative path, which means another file to a worker.
            arguments = ("--model", own.name, "--scheduler", cluster.address)
            command = stage.start(results, *arguments, cwd=stage.folder)
            if is_deleted:
                deadline = time.monotonic() + TIMEOUT_S
                while not results.exists() and time.monotonic() < deadline:
                    time.sleep(0.01)
                own.unlink()
            outcome = stage.finish(command)
            stage.expect_code(outcome, int(is_deleted))
            stage.expect(own.name in outcome.errors or not is_deleted, outcome.errors[-400:])


SCENARIOS: Final[dict[Callable[[Stage], None], int]] = {
    worker_killed: 2,
    all_workers_killed: 1,
    scheduler_killed: 1,
    scheduler_killed_early: 1,
    scheduler_restarted: 1,
    client_interrupted: 2,
    client_terminated: 2,
    client_killed: 2,
    two_clients: 1,
    worker_hangs: 1,
    interrupted_while_all_hang: 1,
    scheduler_hangs: 1,
    no_workers: 0,
    no_scheduler: 0,
    deaf_scheduler: 0,
    image_deleted: 1,
    small_files_only: 1,
    full_disk: 1,
    read_only: 0,
    another_version: 0,
    model_missing: 0,
}
"""The scenarios, and how often a round plays them; 0 is once in all."""


def main() -> None:
    """Play all scenarios, and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of names of scenarios")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # more of them would not outlive the fork
    load_model("vit_t")  # imports what forks need
    dask.config.set({"distributed.scheduler.worker-ttl": "20s"})  # rather than five minutes
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), arguments.seed)
        n_all = n_wrong = 0
        for scenario, weight in SCENARIOS.items():
            if not any(part in scenario.__name__ for part in arguments.only):
                continue
            for _ in range(max(1, arguments.rounds * weight)):
                stage.wrong.clear()
                begun = time.monotonic()
                scenario(stage)
                n_all, n_wrong = n_all + 1, n_wrong + bool(stage.wrong)
                what = "; ".join(stage.wrong) or "right"
                print(f"{scenario.__name__}: {what} ({time.monotonic() - begun:.0f} s)", flush=True)
        codes = ", ".join(f"{code} {n} times" for code, n in sorted(stage.codes.items()))
        print(f"{n_all} runs disturbed, {n_wrong} wrong; exit codes {codes}")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
