"""Downloads from a server that misbehaves in every way that a server can."""

import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import xxhash

from napari_sam.catalogue.download import DownloadError, download, remove_leftovers
from napari_sam.catalogue.table import BUNDLED, find_model
from napari_sam.storage.decoder_files import find_decoder
from tests.systems import needs_kills

CONTENT = bytes(range(256)) * 2**13  # several chunks
WRONG = CONTENT[:-1] + b"?"
HALF = len(CONTENT) // 2


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        getattr(self, f"_{self.path.strip('/')}")()

    def log_message(self, *args):
        pass

    def _begin(self, length=2**21):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _good(self):
        self._begin()
        self.wfile.write(CONTENT)

    def _ranged(self):
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Accept-Ranges", "bytes")
        first = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_header("Content-Length", str(len(CONTENT) - first))
        self.end_headers()
        self.wfile.write(CONTENT[first:])

    def _lengthless(self):
        self._begin(None)
        self.wfile.write(CONTENT)

    def _wrong(self):
        self._begin()
        self.wfile.write(WRONG)

    def _short(self):
        self._begin(HALF)
        self.wfile.write(CONTENT[:HALF])

    def _truncated(self):
        self._begin()
        self.wfile.write(CONTENT[:HALF])

    def _stalled(self):
        self._begin()
        self.wfile.write(CONTENT[:HALF])
        self.wfile.flush()
        self.server.released.wait(30)

    def _unreadable(self):
        self._begin("many")
        self.wfile.write(CONTENT)

    def _endless(self):
        self._begin(None)
        with suppress(OSError):  # until the other side hangs up
            while not self.server.released.is_set():
                self.wfile.write(CONTENT)

    def _vanishing(self):
        self._begin()
        self.wfile.write(CONTENT[:HALF])
        self.wfile.flush()
        # Without lingering, closing resets the connection, as a crash does.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _missing(self):
        self.send_error(404)

    def _broken(self):
        self.send_error(500)


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.released = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def model(server):
    """Return a function from a path on the server to a model that is published there."""

    def model(path, **changes):
        fields = {
            "url": f"http://127.0.0.1:{server.server_port}/{path}",
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "size_bytes": len(CONTENT),
        } | changes
        return replace(find_model("vit_b"), **fields)

    return model


@pytest.mark.parametrize("path", ["good", "lengthless", "unreadable", "ranged"])
def test_a_file_arrives_and_progress_is_told(model, tmp_path, path):
    calls = []
    done = download(model(path), lambda *call: calls.append(call), tmp_path / "new")
    assert done == tmp_path / "new" / "sam_vit_b_01ec64.pth"
    assert done.read_bytes() == CONTENT
    assert calls[0] == (0, len(CONTENT))
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert len(calls) > 4
    assert calls == sorted(calls)
    assert list(done.parent.iterdir()) == [done]


def test_the_other_checksum(model, tmp_path):
    digits = xxhash.xxh128(CONTENT).hexdigest()
    published = model("good", sha256=None, xxh128=digits)
    assert download(published, folder=tmp_path).read_bytes() == CONTENT
    with pytest.raises(DownloadError, match="checksum differs"):
        download(model("wrong", sha256=None, xxh128=digits), folder=tmp_path / "other")


def test_the_decoder_of_a_model_lies_beside_it(model, tmp_path):
    digits = xxhash.xxh128(CONTENT).hexdigest()
    decoder = replace(find_model("vit_b_lm").decoder, url=model("good").url, xxh128=digits)
    path = download(model("good"), folder=tmp_path)
    assert find_decoder(path) is None
    for _ in range(2):  # the second time, both are there
        assert download(model("missing", decoder=decoder), folder=tmp_path) == path
    assert (tmp_path / "vit_b_lm_decoder.pt").read_bytes() == CONTENT
    failing = model("good", decoder=replace(decoder, url=model("missing").url))
    with pytest.raises(DownloadError, match="Could not download vit_b_lm_decoder"):
        download(failing, folder=tmp_path / "other")


def test_what_is_there_is_not_fetched_again(model, tmp_path):
    path = download(model("good"), folder=tmp_path)
    assert download(model("missing"), folder=tmp_path) == path


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("wrong", "checksum differs"),
        ("endless", "checksum differs"),
        ("short", "checksum differs"),
        ("truncated", "broke off"),
        ("vanishing", "broke off"),
        ("stalled", "in time|no connection"),
        ("missing", "answered 404 Not Found"),
        ("broken", "answered 500 Internal Server Error"),
    ],
)
def test_nothing_is_left_of_a_failure(model, tmp_path, path, reason):
    published = model(path)
    with pytest.raises(DownloadError, match=reason) as caught:
        download(published, folder=tmp_path, timeout_s=0.5)
    assert list(tmp_path.iterdir()) == []
    for hint in (published.url, str(tmp_path), published.file_name, "mobile_sam", "without a net"):
        assert hint in str(caught.value)


def test_no_server(model, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/good"
        with pytest.raises(DownloadError, match="no connection to the server"):
            download(model("good", url=url), folder=tmp_path)


def test_a_failure_leaves_the_file_that_was_there(model, tmp_path):
    kept = tmp_path / "other.pth"
    kept.write_bytes(b"mine")
    with pytest.raises(DownloadError):
        download(model("wrong"), folder=tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
    assert download(model("good"), folder=tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError, RuntimeError])
def test_cancelling_leaves_nothing_and_raises_what_cancelled(model, tmp_path, error):
    def cancel(done, total):
        if done >= HALF:
            raise error("enough")

    with pytest.raises(error, match="enough") as caught:
        download(model("good"), cancel, tmp_path)
    assert not isinstance(caught.value, DownloadError)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match="cannot be written"):
        download(model("good"), folder=tmp_path / "file" / "models")


def test_models_that_are_not_downloaded(tmp_path):
    assert download(BUNDLED) == BUNDLED.bundled
    with pytest.raises(DownloadError, match="bowang-lab/MedSAM") as caught:
        download(find_model("medsam"), folder=tmp_path)
    assert f"as medsam_vit_b.pth in {tmp_path}" in str(caught.value)


@needs_kills
def test_leftovers_of_killed_programs_go(model, tmp_path):
    script = (
        "import sys, os, signal; from dataclasses import replace; from pathlib import Path\n"
        "from napari_sam.catalogue.download import download\n"
        "from napari_sam.catalogue.table import find_model\n"
        "published = replace(find_model('vit_b'), url=sys.argv[1])\n"
        "def die(done, total):\n"
        "    if done > 2**19: os.kill(os.getpid(), signal.SIGKILL)\n"
        "download(published, die, Path(sys.argv[2]))\n"
    )
    url = model("good").url
    done = subprocess.run([sys.executable, "-c", script, url, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name[:10] for path in tmp_path.iterdir()] == [".download-"]
    living = tmp_path / f".download-{os.getpid()}-1"  # another download of this program
    living.mkdir()
    path = download(model("good"), folder=tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living, path])


def test_leftovers_go_without_a_download(tmp_path):
    dead, living = tmp_path / ".download-999999999-1", tmp_path / f".download-{os.getpid()}-1"
    dead.mkdir()
    living.mkdir()
    foreign = tmp_path / ".download-notes"
    foreign.mkdir()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living, foreign])
    remove_leftovers(tmp_path / "none")


@pytest.mark.parametrize("content", [b"mine", CONTENT[:-1] + b"!"])
def test_a_file_of_ones_own_is_never_replaced(model, tmp_path, content):
    own = tmp_path / "sam_vit_b_01ec64.pth"
    own.write_bytes(content)
    with pytest.raises(DownloadError, match="rename it or move it away") as caught:
        download(model("good"), folder=tmp_path)
    assert str(own) in str(caught.value)
    assert own.read_bytes() == content


def test_a_file_that_comes_during_the_download_is_not_replaced(model, tmp_path):
    own = tmp_path / "sam_vit_b_01ec64.pth"
    with pytest.raises(DownloadError, match="rename it or move it away"):
        download(model("good"), lambda *_: own.write_bytes(b"mine"), tmp_path)
    assert list(tmp_path.iterdir()) == [own]
    assert own.read_bytes() == b"mine"
