"""Addresses at which there is no scheduler; `tests/cli/test_automatic.py` has a real cluster."""

import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from napari_sam.batch.manifest import RunError

cluster = pytest.importorskip("napari_sam.batch.cluster")
cloudpickle = pytest.importorskip("cloudpickle")


@pytest.fixture
def listening():
    """Listen on a port, and send the same to whoever connects."""
    servers, is_over = [], threading.Event()

    def listen(answer):
        server = socket.create_server(("127.0.0.1", 0))

        def serve():
            with ExitStack() as connections, suppress(OSError):
                while not is_over.is_set():
                    connection = connections.enter_context(server.accept()[0])
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        servers.append((server, thread))
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"

    yield listen
    is_over.set()
    for server, thread in servers:
        with server, socket.create_connection(server.getsockname()):  # wakes the thread
            thread.join()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 64, b"\xff" * 64])
def test_a_port_of_another_program(listening, answer, monkeypatch):
    monkeypatch.setattr(cluster, "_TIMEOUT_S", 1)
    with pytest.raises(RunError, match="There is no scheduler"):
        list(cluster.run_on_cluster(listening(answer), None, [], None, print))


@pytest.mark.parametrize(
    "address", ["", "nonsense", "tls://127.0.0.1:9", "ucx://127.0.0.1:1", "inproc://1/2/3", "x:y"]
)
def test_an_address_that_is_none(address):
    with pytest.raises(RunError, match="There is no scheduler"):
        list(cluster.run_on_cluster(address, None, [], None, print))


def test_a_worker_with_another_version():
    with pytest.raises(RunError, match=r"has napari-sam-live .*: install 0\.0\.1 there"):
        cluster.process_on_worker(None, None, None, "0.0.1")


def test_a_worker_without_the_package():
    """It is sent what it can unpickle, and fails with words rather than ends."""
    work = cloudpickle.loads(cloudpickle.dumps(cluster.work_on_any_worker("0.0.1")))
    assert work.__code__ is not cluster.work_on_any_worker("0.0.1").__code__  # by value
    with pytest.raises(ValueError, match=r"No module named 'gone'.*install .* 0\.0\.1 there"):
        work(b"cgone\nname\n.")
