"""Images from servers that take their time."""

import socket
import threading
from contextlib import suppress

import pytest

from napari_sam.request import RequestError
from napari_sam.request.addresses import read_address


@pytest.fixture
def dripping():
    """Return a function from the beginning of an answer to the address where bytes follow it."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(start):
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(2**16)
                connection.sendall(start)
                while not is_over.wait(0.05):
                    connection.sendall(b"x")

        def address(start):
            threading.Thread(target=serve, args=(start,), daemon=True).start()
            return f"http://127.0.0.1:{server.getsockname()[1]}/"

        yield address
        is_over.set()


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_server_that_never_ends_is_left(dripping, start):
    with pytest.raises(RequestError, match=r"The image was not loaded within 0\.3 seconds"):
        read_address(dripping(start), "The image", lambda count: None, limit_s=0.3)
