"""Preview the masks of a click under the cursor."""

from collections.abc import Callable

from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.decoding.ranking import DecodeContext
from napari_sam.session.decoding.request import DecodeRequest
from napari_sam.session.embedding.embeddings import EmbeddedTile
from napari_sam.session.jobs import LatestWinsExecutor, log_failure
from napari_sam.session.prompts.prompts import Prompts

FindTile = Callable[[Prompts], EmbeddedTile | None]
"""Return the embedded tile that prompts lie on, if there is one."""


class HoverPreview:
    """Decodes prompts under the cursor; the newest win, and never wait behind each other.

    A preview never delays a real decode by more than the one it is at.
    """

    def __init__(
        self,
        executor: LatestWinsExecutor,
        on_changed: Callable[[], None],
        context: Callable[[], DecodeContext],
        find_learnt: Callable[[Prompts, DecodeContext], EmbeddedTile | None],
    ) -> None:
        self._executor = executor
        self._on_changed = on_changed
        self._context, self._find_learnt = context, find_learnt
        self._wanted: Prompts | None = None
        self._find: FindTile | None = None
        self._is_failure_logged = False
        self.shown: Candidates | None = None
        """The newest masks; None without any."""

    def want(self, prompts: Prompts | None) -> None:
        """Preview these prompts; None ends the preview."""
        self._wanted = prompts
        if prompts is None:
            self._drop()
        else:
            self._request()

    def allow(self, find: FindTile | None) -> None:
        """Preview on the tiles that `find` returns; None pauses the preview and clears it."""
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
        elif self._executor.is_idle:
            context = self._context()
            learnt_on = self._find_learnt(wanted, context)
            request = DecodeRequest(embedded, wanted, wanted, context, learnt_on=learnt_on)
            self._executor.submit(
                lambda _: request.first(),
                lambda candidates: self._on_decoded(request, candidates),
                self._on_failed,
            )

    def _on_failed(self, error: BaseException) -> None:
        if not self._is_failure_logged:  # it would be logged at each move of the mouse
            self._is_failure_logged = True
            log_failure(error, "The preview could not be computed")
        self._drop()

    def _on_decoded(self, request: DecodeRequest, candidates: Candidates) -> None:
        if not self._show(candidates) or request.is_complete(candidates):
            return
        self._executor.submit(
            lambda _: request.completed(candidates), self._on_widened, self._on_failed
        )

    def _on_widened(self, candidates: Candidates) -> None:
        self._show(candidates)

    def _show(self, candidates: Candidates) -> bool:
        """Show masks; return whether they are those of the cursor."""
        if self._wanted is None or self._find is None:
            return False
        self.shown = candidates
        self._on_changed()
        if self._wanted == candidates.prompts:
            return True
        self._request()  # the cursor has moved on meanwhile
        return False
