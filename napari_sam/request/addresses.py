"""Read an image from a web address within a time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import requests

from napari_sam.request.rows import RequestError
from napari_sam.storage.web import open_address

LIMIT_S: Final = 300.0
"""For all of an image: a server that sends a byte now and then must not stop the rows after it."""
_SILENCE_S: Final = 30.0
_BLOCK_BYTES: Final = 2**16
"""Small, because a compressed block may expand a thousandfold before its size is known."""


def read_address(
    url: str, name: str, check_bytes: Callable[[int], None], limit_s: float = LIMIT_S
) -> bytes:
    """Return the content of an http or https address, called by a name in messages.

    `check_bytes` gets the number of bytes so far, and may raise.
    """
    content: Future[bytes] = Future()
    is_over = threading.Event()

    def read() -> None:
        try:
            content.set_result(_read(url, check_bytes, is_over))
        except BaseException as error:
            content.set_exception(error)

    # On a thread of its own, because nothing else ends a read that gets a byte now and then.
    threading.Thread(target=read, daemon=True, name="napari-sam-address").start()
    try:
        return content.result(limit_s)
    except TimeoutError as error:
        msg = f"{name} was not loaded within {limit_s:g} seconds: give the image as a file."
        raise RequestError(msg) from error
    except (requests.RequestException, OSError, UnicodeError) as error:
        raise RequestError(f"{name} cannot be opened ({error}).") from error
    finally:
        is_over.set()


def _read(url: str, check_bytes: Callable[[int], None], is_over: threading.Event) -> bytes:
    content = bytearray()
    with open_address(url, _SILENCE_S) as response:
        response.raise_for_status()
        for block in response.iter_content(_BLOCK_BYTES):
            content += block
            check_bytes(len(content))
            if is_over.is_set():
                break
    return bytes(content)
