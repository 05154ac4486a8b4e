"""What a session's parts have to say, as one snapshot."""

from __future__ import annotations

from napari_sam.session.decoding.decoding import Decoding
from napari_sam.session.embedding.encoding import Encoding
from napari_sam.session.objects.editing import Editing
from napari_sam.session.prefetch.prefetching import Prefetcher
from napari_sam.session.state import SessionState, hint_for


def snapshot_of(
    encoding: Encoding, decoding: Decoding, editing: Editing, ahead: Prefetcher
) -> SessionState:
    """Return the state that a session with these parts is in."""
    prompts = decoding.object.prompts
    return SessionState(
        phase=encoding.phase,
        progress=encoding.progress,
        prompts=prompts,
        candidates=decoding.candidates,
        chosen=decoding.chosen,
        kept=decoding.object.choice_of_before,
        preview=decoding.preview,
        is_decoding=decoding.is_pending,
        is_writing=not editing.is_idle,
        can_undo=editing.history.can_undo,
        can_redo=editing.history.can_redo,
        hint=encoding.note
        or why_same(encoding)
        or hint_for(encoding.phase, *decoding.usable(prompts)),
        has_image=encoding.plane is not None,
        model=encoding.choice,
        wish=encoding.wish,
        is_checking=encoding.is_checking,
        runtime=encoding.runtime,
        devices=encoding.devices,
        thumbnail=None if encoding.embedded is None else encoding.embedded.thumbnail,
        preparation=ahead.preparation,
    )


def why_same(encoding: Encoding) -> str:
    """Return why the model sees nothing in the whole plane; "" where that is not so."""
    plane, embedded = encoding.plane, encoding.embedded
    if plane is None or embedded is None:
        return ""
    is_whole = (embedded.tile.height, embedded.tile.width) == plane.shape
    return embedded.why_same if is_whole else ""
