"""Addresses of servers that do not want to be read."""

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from napari_sam.storage.web import open_address

TARGETS = {"/there": "/content", "/broken": "http://[::1", "/round": "/round", "/file": "file:///"}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path in TARGETS:
            self.send_response(302)
            self.send_header("Location", TARGETS[self.path])
            self.end_headers()
            with suppress(OSError):  # until the other side hangs up
                while not self.server.is_over.is_set():
                    self.wfile.write(bytes(2**16))
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"content")

    def log_message(self, *args):
        pass


@pytest.fixture
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.is_over = threading.Event()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.is_over.set()
        server.shutdown()
        thread.join()


def test_the_endless_body_of_a_redirect_is_not_read(address):
    with open_address(f"{address}/there", 5) as response:
        assert response.content == b"content"


@pytest.mark.parametrize("path", ["broken", "round", "file"])
def test_a_redirect_that_leads_nowhere(address, path):
    with pytest.raises(requests.RequestException):
        open_address(f"{address}/{path}", 5)
