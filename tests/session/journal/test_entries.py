"""The state of an object as JSON."""

from napari_sam.session import Prompts
from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.journal.entries import state_from_json, state_to_json

POINT = Prompts(((3, 4),), (1,))


def test_the_slice_of_prompts_is_written_where_there_is_a_stack():
    state = ObjectState(POINT.on_slice(5), choice=1, level=0.5)
    content = state_to_json(state)
    assert content["slice_index"] == 5
    assert state_from_json(content) == state


def test_states_of_older_files_have_neither_slice_nor_level():
    content = state_to_json(ObjectState(POINT))
    assert not {"slice_index", "level"} & content.keys()
    assert state_from_json(content) == ObjectState(POINT)
