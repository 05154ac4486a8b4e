"""The files of instance decoders, which lie beside those of their models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ENDING: Final = "_decoder"
_SUFFIXES: Final = (".safetensors", ".pt", ".pth")


def decoder_path(path: Path, suffix: str | None = None) -> Path:
    """Return the place of the decoder of a model's file; by default it has the same suffix."""
    return path.with_name(f"{path.stem}{_ENDING}{path.suffix if suffix is None else suffix}")


def find_decoder(path: Path) -> Path | None:
    """Return the file of the decoder of a model's file; None if there is none."""
    suffixes = dict.fromkeys((path.suffix, *_SUFFIXES))
    places = (decoder_path(path, suffix) for suffix in suffixes)
    return next((place for place in places if place.is_file()), None)


def without_decoders(paths: list[Path]) -> Iterator[Path]:
    """Leave out files that are the decoder of another one among them."""
    decoders = {
        decoder_path(path, suffix) for path in paths for suffix in (path.suffix, *_SUFFIXES)
    }
    yield from (path for path in paths if path not in decoders)
