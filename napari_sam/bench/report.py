"""The results as a Markdown table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_DIGITS = {"ms": 1, "per s": 1, "MB": 0}


@dataclass(frozen=True)
class Row:
    """One measurement."""

    name: str
    unit: str
    ours: float | None  # None if it was not measured; `note` says why
    peers: dict[str, float] = field(default_factory=dict)  # by the name of the software
    note: str = ""

    def ratio(self, peer: str) -> float | None:
        """Return ours divided by the peer's; below 1, ours is faster or smaller."""
        theirs = self.peers.get(peer)
        return None if self.ours is None or not theirs else self.ours / theirs

    def _cell(self, value: float | None) -> str:
        return "" if value is None else f"{value:.{_DIGITS[self.unit]}f} {self.unit}"

    def cells(self, peers: Sequence[str]) -> list[str]:
        """Return the cells of the row."""
        cells = [self.name, self.note if self.ours is None else self._cell(self.ours)]
        for peer in peers:
            ratio = self.ratio(peer)
            cells += [self._cell(self.peers.get(peer)), "" if ratio is None else f"{ratio:.2f}"]
        return cells


@dataclass(frozen=True)
class Report:
    """All results of `napari-sam bench`."""

    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, Any]
    rows: list[Row]
    peers: tuple[str, ...] = ()  # other software, in the order of the columns
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        content = asdict(self)
        del content["peers"]
        for row, entry in zip(self.rows, content["rows"], strict=True):
            entry["ratios"] = {peer: row.ratio(peer) for peer in row.peers}
        return content

    def as_markdown(self) -> str:
        """Return a table that can be pasted into an issue."""
        head = ["measured", "napari-sam"]
        for peer in self.peers:
            head += [peer, f"ours / {peer}"]
        facts = [
            f"{title}: " + ", ".join(f"{name} {value}" for name, value in entries.items())
            for title, entries in (
                ("Machine", self.machine),
                ("Versions", self.versions),
                ("Settings", self.settings),
            )
        ]
        table = _table([head, *(row.cells(self.peers) for row in self.rows)])
        return "\n".join([*(f"- {fact}" for fact in [*facts, *self.notes]), "", *table])


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |" for row in rows
    ]
    return [lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]]
