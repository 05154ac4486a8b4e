"""Read a journal, and replay it into labels."""

import json
import marshal
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from napari_sam.session.classes.classes import Classes, classes_from_json
from napari_sam.session.journal.checks import MAX_LINE_BYTES, JournalError, check_entry, naming
from napari_sam.session.journal.entries import (
    FORMAT,
    Patch,
    from_line,
    is_sound,
    record_from_json,
)
from napari_sam.session.journal.headers import JournalHeader, header_from_json
from napari_sam.session.journal.unfinished import UnfinishedObject, unfinished_from_json
from napari_sam.session.objects.labels import Labels
from napari_sam.session.objects.packed import PackedMask, Region, Start
from napari_sam.session.objects.pixel_sets import tile_shape, tiles_of
from napari_sam.session.objects.records import RecordChange
from napari_sam.storage.pacing import paced
from napari_sam.storage.regular_files import require_regular_file

_MAX_BLOCKS: Final = 512
_REPORT_EVERY: Final = 500
_CLASSES: Final = b'{"direction":"classes",'
_NAME: Final = b'"labels_name":'


@dataclass(frozen=True, eq=False)
class JournalContent:
    """The content of a journal or a session file."""

    raw_header: dict[str, Any]  # its first line
    lines: list[bytes]  # the other lines, as far as they are sound
    sound_bytes: int  # where the sound lines end
    warning: str = ""  # says that the rest is damaged; empty if nothing is

    @property
    def header(self) -> JournalHeader:
        """Its first line; raises `JournalError` if that is not a header."""
        return header_from_json(self.raw_header)

    @property
    def classes(self) -> Classes:
        """The last classes that were recorded; empty without any."""
        return classes_from_json(self._last(_CLASSES, "classes", []))

    @property
    def labels_name(self) -> str:
        """The last name of the labels; empty if it was never recorded."""
        return str(self._last(_NAME, "labels_name", self.header.labels_name))

    @property
    def unfinished(self) -> tuple[UnfinishedObject, ...]:
        """The objects in progress in the end, the newest last."""
        last = json.loads(self.lines[-1]) if self.lines else {}
        return tuple(map(unfinished_from_json, last.get("unfinished", [])))

    def _last(self, marker: bytes, key: str, default: Any) -> Any:
        """Return what the last line that contains a marker says."""
        line = next((line for line in reversed(self.lines) if marker in line), None)
        return default if line is None else json.loads(line).get(key, default)

    def entries(self, report: Callable[[float], None] = lambda _: None) -> Iterator[dict[str, Any]]:
        """Yield the entries, and report the progress now and then (0 to 1).

        All at once would keep the garbage collector busy.
        """
        for number, line in enumerate(paced(self.lines)):
            if number % _REPORT_EVERY == 0:
                report(number / len(self.lines))
            yield json.loads(line)

    def check(self) -> tuple[int, JournalError] | None:
        """Check every entry; return how many come before the first that is wrong, and why it is."""
        header = self.header
        for number, line in enumerate(paced(self.lines)):
            try:
                with naming(f"line {number + 2}"):
                    content = from_line(line)
                    if content is None:
                        raise JournalError("it is not JSON")
                    check_entry(content, header.shape, header.dtype, header.image.shape)
            except JournalError as error:
                return number, error
        return None


def read_journal(path: Path) -> JournalContent:
    """Read a journal as far as it is sound.

    A last line that was torn by a crash is not damage: its edit was not complete. Raises
    `JournalError` if it cannot be read or is not a journal.
    """
    try:
        content = read_lines(path)
    except OSError as error:
        raise JournalError(f"The journal cannot be read: {error}") from error
    if content.raw_header.get("format") != FORMAT:
        raise JournalError(f"{path} is not a journal that this version can read.")
    fault = content.check()
    if fault is None:
        return content
    number, reason = fault
    warning = (
        f"The journal is damaged after entry {number} ({reason}): later edits could not be "
        "restored."
    )
    sound_bytes = content.sound_bytes - sum(map(len, content.lines[number:]))
    return JournalContent(content.raw_header, content.lines[:number], sound_bytes, warning)


def read_lines(path: Path) -> JournalContent:
    """Read a file of lines as far as it is sound; without a sound line, the header is empty."""
    require_regular_file(path)
    lines: list[bytes] = []
    sound_bytes, warning = 0, ""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES):
            if not is_sound(line):
                if file.read(1):
                    warning = (
                        f"The journal is damaged after entry {len(lines) - 1}: later edits could "
                        "not be restored."
                    )
                break
            lines.append(line)
            sound_bytes += len(line)
    header = from_line(lines[0]) if lines else None
    return JournalContent(header or {}, lines[1:], sound_bytes, warning)


def replay(entries: Iterable[dict[str, Any]], labels: Labels) -> None:
    """Apply the entries of a journal, which were checked, to labels and their records.

    If nothing shows the labels or listens to their records, this may be called on any thread.
    """
    canvas = _Canvas(labels)
    # Packed, since the garbage collector would traverse all these dicts again and again.
    records: dict[int, bytes | None] = {}
    for entry in entries:
        for patch in entry["patches"]:
            canvas.paint(Patch.from_json(patch))
        records.update(dict.fromkeys(entry["gone"]))
        for record in entry["records"]:
            # Always the last one, as in the registry.
            records.pop(record["label_id"], None)
            records[record["label_id"]] = marshal.dumps(record)
    canvas.flush()
    registry = labels.registry
    registry.reserve(max(records, default=0))
    registry.apply(
        tuple(
            RecordChange(
                registry.get(label_id),
                None if packed is None else record_from_json(marshal.loads(packed)),
            )
            for label_id, packed in paced(records.items())
        )
    )


class _Canvas:
    """Labels in blocks that stay in memory while patches are painted into them."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._sides = tile_shape(len(labels.shape))
        self._blocks: OrderedDict[Start, NDArray[Any]] = OrderedDict()
        self._wire_type = labels.dtype.newbyteorder("<")

    def paint(self, patch: Patch) -> None:
        """Set pixels to what they were after an edit."""
        mask = None
        if patch.mask is not None:
            mask = PackedMask.from_packed(patch.start, patch.shape, 0, patch.mask).mask
        values: NDArray[Any]
        if isinstance(patch.values, int):
            values = np.broadcast_to(np.array(patch.values), patch.shape)
        else:
            pixels = np.frombuffer(zlib.decompress(patch.values), self._wire_type)
            values = np.zeros(patch.shape, self._labels.dtype)
            values[... if mask is None else mask] = (
                pixels.reshape(patch.shape) if mask is None else pixels
            )
        for index, in_tile, in_box in tiles_of(patch.start, patch.shape):
            pixels = self._block(index)[in_tile]
            where = True if mask is None else mask[in_box]
            np.copyto(pixels, values[in_box], casting="unsafe", where=where)

    def _block(self, index: Start) -> NDArray[Any]:
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = self._labels.read(self._region(index))
            if len(self._blocks) > _MAX_BLOCKS:
                self._write_oldest()
        else:
            self._blocks.move_to_end(index)
        return block

    def _region(self, index: Start) -> Region:
        return tuple(
            slice(number * side, min((number + 1) * side, length))
            for number, side, length in zip(index, self._sides, self._labels.shape, strict=True)
        )

    def flush(self) -> None:
        """Write all blocks into the labels."""
        while self._blocks:
            self._write_oldest()

    def _write_oldest(self) -> None:
        index, block = self._blocks.popitem(last=False)
        self._labels.write(self._region(index), block)
