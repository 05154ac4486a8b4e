"""Open web addresses, whose servers may be broken or hostile."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests


def open_address(url: str, timeout_s: float) -> requests.Response:
    """Return what is at an address, unread; raise requests.RequestException if it has no answer.

    The timeout is for each wait, so a server that sends a byte now and then is waited for.
    """
    import requests  # late, as it takes long and few need it

    try:
        return requests.get(
            url, stream=True, timeout=timeout_s, hooks={"response": _without_body_of_redirect}
        )
    except requests.RequestException:
        raise
    except ValueError as error:  # of an address that a redirect leads to
        raise requests.exceptions.InvalidURL(str(error)) from error


def _without_body_of_redirect(response: requests.Response, **settings: Any) -> requests.Response:
    """Drop a body that nobody wants: requests would read it whole, and it may be endless."""
    if response.is_redirect:
        response.close()
        response.raw = io.BytesIO()
    return response
