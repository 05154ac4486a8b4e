"""What is in progress outlives the program, as accepted objects do."""

import numpy as np
import pytest
from napari.layers import Image
from skimage import data

from napari_sam.session.journal.replaying import read_journal

TIMEOUT_S = 120
PLACES = [(68, 104), (70, 228)]


@pytest.fixture
def kill(other_program, journals_folder):
    """Have a widget end as if its program was killed."""

    def end(widget):
        contents = {path: path.read_bytes() for path in journals_folder.iterdir()}
        widget.close()
        for path in journals_folder.iterdir():
            path.unlink()
        for path, content in contents.items():
            path.write_bytes(content)
        other_program()

    return end


def coins(*slices):
    image = data.coins()
    return Image(
        np.stack([np.roll(image, n, 1) for n in slices]) if slices else image, name="coins"
    )


def click(viewer, widget, *places):
    widget.binding.prompts.start_points()
    for place in places:
        viewer.layers["SAM points"].add([place])
        widget.wait_until_idle(TIMEOUT_S)


def shown_mask(widget):
    state = widget.session.state
    return state.candidates.crop(state.chosen)


def restore(widget):
    text = widget.controllers.restore.row._text.text()
    assert not widget.controllers.restore.row.isHidden()
    widget.controllers.restore.row.restore.click()
    for _ in range(2):  # the binding follows the sliders in the next round of the event loop
        widget.wait_until_idle(TIMEOUT_S)
    return text


def test_a_click_without_any_object_is_restored_and_can_be_undone_and_cleared(
    make_widget, said, kill, qtbot, journals_folder
):
    viewer, widget = make_widget(coins())
    widget.session.classes.add("Münze")
    click(viewer, widget, PLACES[0])
    widget.session.object_in_progress.choose_next()
    qtbot.waitUntil(lambda: widget.controllers.unfinished.is_idle)
    mask, chosen = shown_mask(widget), widget.session.state.chosen
    kill(widget)

    viewer, widget = make_widget(coins())
    assert restore(widget).startswith("An unfinished object on 'coins' (today")
    assert said[-1] == "Restored an unfinished object."
    assert widget.session.state.prompts.points_xy == ((104, 68),)
    np.testing.assert_allclose(viewer.layers["SAM points"].data, [PLACES[0]])
    assert widget.session.classes.table.current == "Münze"
    assert widget.session.state.chosen == chosen
    np.testing.assert_array_equal(shown_mask(widget).mask, mask.mask)
    assert len(viewer.layers) == 2 + 3  # image, points and candidates, but no labels
    (path,) = journals_folder.iterdir()
    assert len(read_journal(path).unfinished) == 1
    widget.binding.objects.undo()
    assert widget.session.state.prompts.is_empty
    assert not list(journals_folder.iterdir())
    widget.binding.objects.redo()
    assert widget.session.state.prompts.points_xy == ((104, 68),)
    widget.wait_until_idle(TIMEOUT_S)
    widget.binding.objects.accept()
    (path,) = journals_folder.iterdir()  # that of the labels
    (entry,) = [entry for entry in read_journal(path).entries() if entry["records"]]
    assert "unfinished" not in entry


def test_what_is_in_progress_on_two_slices_is_there_after_the_window_was_closed(
    make_widget, said, other_program
):
    viewer, widget = make_widget(coins(0, 20))
    click(viewer, widget, (0, *PLACES[0]))
    widget.binding.objects.accept()
    widget.session.objects.reedit(1)
    widget.wait_until_idle(TIMEOUT_S)
    viewer.layers["SAM points"].add([(0, 60, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    viewer.dims.set_current_step(0, 1)
    widget.wait_until_idle(TIMEOUT_S)
    click(viewer, widget, (1, *PLACES[1]))
    widget.close()
    other_program()

    viewer, widget = make_widget(coins(0, 20))
    text = restore(widget)
    assert text.startswith("1 unsaved object and 2 unfinished objects on 'coins' (today")
    assert "did not exit" not in text
    assert said[-1] == "Restored 1 object and 2 unfinished objects into 'coins labels'."
    assert viewer.dims.current_step[0] == 1
    assert widget.session.state.prompts.points_xy == ((228, 70),)
    viewer.dims.set_current_step(0, 0)
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.reedited_label_id == 1
    assert widget.session.state.prompts.points_xy == ((104, 68), (104, 60))
    assert len(viewer.layers["SAM points"].data) == 2 + 1
    widget.binding.objects.accept()
    widget.wait_until_idle(TIMEOUT_S)
    assert [record.label_id for record in widget.binding.target.labels.registry] == [1]
