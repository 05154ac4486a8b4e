"""What the hint says while an embedding is on its way."""

from napari_sam.session.embedding.phase import Phase
from napari_sam.session.prompts.prompts import FOREGROUND, Prompts
from napari_sam.session.state import EARLY_HINT, START_HINT, hint_for

CLICK = Prompts(((5.0, 5.0),), (FOREGROUND,))


def hint(phase, prompts, *, has_embedding, has_masks=False):
    return hint_for(phase, prompts, (), None, has_embedding=has_embedding, has_masks=has_masks)


def test_without_an_embedding_masks_appear_later():
    assert hint(Phase.EMBEDDING, Prompts(), has_embedding=False) == EARLY_HINT
    assert "once the image is embedded" in hint(Phase.EMBEDDING, CLICK, has_embedding=False)


def test_while_only_a_finer_tile_is_embedded_the_image_is_said_to_be_ready():
    assert hint(Phase.EMBEDDING, Prompts(), has_embedding=True) == START_HINT
    assert "this part of the image" in hint(Phase.EMBEDDING, CLICK, has_embedding=True)
    shown = hint(Phase.EMBEDDING, CLICK, has_embedding=True, has_masks=True)
    assert shown == hint(Phase.READY, CLICK, has_embedding=True, has_masks=True)
    assert shown.startswith("Accept the shown mask")
