"""JSON for files and for other programs."""

import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from napari_sam.storage.pacing import paced

_BATCH: Final = 32


def says_something(value: object) -> bool:
    """Whether a value is worth writing: None, False and what is empty say nothing, but 0 does.

    Examples
    --------
    >>> [says_something(value) for value in (0.0, 0, None, False, "", [])]
    [True, True, False, False, False, False]
    """
    return bool(value) or (isinstance(value, (int, float)) and value is not False)


def json_text(content: Any, **options: Any) -> str:
    """Return JSON, with null for the numbers that it does not have: NaN and infinity.

    Examples
    --------
    >>> json_text({"score": float("nan")})
    '{"score": null}'
    """
    try:
        return json.dumps(content, allow_nan=False, **options)
    except ValueError:
        return json.dumps(without_nan(content), allow_nan=False, **options)


def compact_json(content: Any, *, ensure_ascii: bool = True) -> str:
    """Return JSON as `json_text` does, without blanks.

    Lists and iterators in a mapping are encoded some at a time: all at once, thousands of entries
    would keep all other threads waiting, and the garbage collector busy.

    Examples
    --------
    >>> compact_json({"a": map(abs, (-1, 2)), "b": [None, {"c": "d"}], "e": 1.5})
    '{"a":[1,2],"b":[null,{"c":"d"}],"e":1.5}'
    """

    def encode(value: Any) -> str:
        if isinstance(value, list | Iterator):
            entries = paced(value)
            batches = iter(lambda: list(islice(entries, _BATCH)), [])
            return f"[{','.join(encode_entry(batch)[1:-1] for batch in batches)}]"
        return encode_entry(value)

    def encode_entry(value: Any) -> str:
        return json_text(value, ensure_ascii=ensure_ascii, separators=(",", ":"))

    if isinstance(content, dict):
        members = (f"{encode_entry(str(name))}:{encode(value)}" for name, value in content.items())
        return f"{{{','.join(members)}}}"
    return encode(content)


def without_nan(content: Any) -> Any:
    """Return content for JSON with None in place of numbers that are not finite."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {name: without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return content
