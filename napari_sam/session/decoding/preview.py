"""The masks that a click under the cursor would give."""

from __future__ import annotations

from collections.abc import Callable

from napari_sam.session.decoding.candidates import Candidates, decode
from napari_sam.session.decoding.ranking import Memory
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.jobs import LatestWinsExecutor, user_message
from napari_sam.session.prompts.prompts import Prompts

FindTile = Callable[[Prompts], EmbeddedTile | None]
"""Gives the embedded tile that prompts lie on, if there is one."""


class HoverPreview:
    """Decodes prompts that are not given yet; the newest win, and never wait behind each other."""

    def __init__(
        self, lane: LatestWinsExecutor, on_changed: Callable[[], None], recall: Callable[[], Memory]
    ) -> None:
        self._lane = lane
        self._on_changed = on_changed
        self._recall = recall
        self._wanted: Prompts | None = None
        self._find: FindTile | None = None
        self._is_failure_logged = False
        self.shown: Candidates | None = None
        """The newest masks; None if there are none to show."""

    def want(self, prompts: Prompts | None) -> None:
        """Preview these prompts from now on, or nothing."""
        self._wanted = prompts
        if prompts is None:
            self._drop()
        else:
            self._request()

    def allow(self, find: FindTile | None) -> None:
        """Preview on the tiles that `find` gives; None: not now, forgetting what is shown."""
        self._find, self._is_failure_logged = find, False
        if find is None:
            self.shown = None

    def _drop(self) -> None:
        if self.shown is not None:
            self.shown = None
            self._on_changed()

    def _request(self) -> None:
        wanted, find = self._wanted, self._find
        if wanted is None or find is None:
            return
        embedded = find(wanted)
        if embedded is None:
            self._drop()
        elif self._lane.is_idle:
            memory = self._recall()
            self._lane.submit(
                lambda _: decode(embedded, wanted, wanted, None, None, memory),
                self._on_decoded,
                self._on_failed,
            )

    def _on_failed(self, error: BaseException) -> None:
        if not self._is_failure_logged:  # each move of the mouse would say it again
            self._is_failure_logged = True
            user_message(error, "The preview could not be computed")
        self._drop()

    def _on_decoded(self, candidates: Candidates) -> None:
        if self._wanted is None or self._find is None:
            return
        self.shown = candidates
        self._on_changed()
        if self._wanted != candidates.prompts:  # the cursor has moved on meanwhile
            self._request()
