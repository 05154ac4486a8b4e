"""Tracks in a real window: linked, divided, shown, colored, undone, and linked by a file."""

from types import SimpleNamespace

import numpy as np
import pytest
from app_model.types import KeyBinding
from napari.layers import Image, Labels, Tracks
from skimage import data

from napari_sam._qt.object_columns import FIRST, LAST, LINEAGE, PARENT, SLICE
from napari_sam.session import TargetError

from ..session.tracks.films import dividing

TIMEOUT_S = 240
IMAGE = np.stack([data.coins()[:48, :48]] * 8)
"""The same in all frames, so that it is embedded once."""


def film() -> np.ndarray:
    """Return labels of a cell that divides in frame 4, beside one that stays."""
    labels = np.pad(dividing(), ((0, 0), (0, 24), (0, 0)))
    labels[4:, :24, 24:][labels[4:, :24, 24:] > 0] = 2
    labels[:, 36:44, 20:28] = 3
    return labels


@pytest.fixture
def opened(make_widget):
    viewer, widget = make_widget(Image(IMAGE, name="film", axis_labels=("t", "y", "x")))
    layer = viewer.add_layer(Labels(film(), name="cells", axis_labels=("t", "y", "x")))
    widget.binding.target.set_layer(layer)
    widget.wait_until_idle(TIMEOUT_S)
    widget.controllers.stack.tab.select()
    return viewer, widget, layer


def spans(widget):
    tracks = widget.session.tracks.lineages
    return {track.label_id: (track.first, track.last, track.parent_id) for track in tracks}


def press(viewer, widget, key):
    layer = viewer.layers.selection.active
    layer.keymap[KeyBinding.from_str(key)](layer)
    widget.wait_until_idle(TIMEOUT_S)


def click(widget, button):
    button.click()
    widget.wait_until_idle(TIMEOUT_S)


def tracks_layers(viewer):
    return [layer for layer in viewer.layers if isinstance(layer, Tracks)]


def test_a_film_is_linked_reviewed_shown_and_undone(opened):
    pytest.importorskip("laptrack")
    viewer, widget, layer = opened
    panel, stack_panel = widget.controllers.tracks.on_demand.get(), widget.controllers.stack.panel
    table, view = widget.controllers.objects.table, widget.controllers.objects.table.view
    before, first_spans = np.asarray(layer.data).copy(), spans(widget)
    assert [view.isColumnHidden(n) for n in (FIRST, LAST, PARENT, LINEAGE)] == [False] * 4
    assert view.isColumnHidden(SLICE)
    click(widget, panel.shown)
    (shown,) = tracks_layers(viewer)
    assert set(shown.data[:, 0]) == {1, 2, 3}
    click(widget, panel.link)
    assert stack_panel.views[1].text() == "Tracks (1)"
    click(widget, panel.go)
    assert viewer.dims.current_step[0] == 4
    assert set(table.selected) == {1, 2}
    assert set(widget.binding.objects.outlines.label_ids) == {1, 2}
    click(widget, panel.confirm)
    daughters = widget.session.tracks.lineages.children_of(1)
    assert len(daughters) == 2
    assert stack_panel.views[1].text() == "Tracks"
    assert shown.graph == {daughter: [1] for daughter in daughters}
    for daughter in daughters:
        np.testing.assert_allclose(layer.get_color(daughter), layer.get_color(1), atol=1e-6)
    row = table.model.rows[daughters[1]]
    texts = [table.model.index(row, n).data() for n in (FIRST, LAST, PARENT, LINEAGE)]
    assert texts == [4, 7, 1, 1]
    view.doubleClicked.emit(table.model.index(row, PARENT))
    assert table.selected == [1]
    widget.controllers.classes.set_coloring(True)
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_allclose(layer.get_color(3), layer.get_color(1))
    widget.controllers.classes.set_coloring(False)
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_allclose(layer.get_color(daughters[0]), layer.get_color(1), atol=1e-6)
    assert (layer.get_color(3) != layer.get_color(1)).any()
    for _ in range(2):
        widget.binding.objects.undo()
        widget.wait_until_idle(TIMEOUT_S)
        if stack_panel.views[1].text() == "Tracks (1)":  # the division is in question again
            viewer.dims.set_current_step(0, 0)
            click(widget, panel.go)
            assert viewer.dims.current_step[0] == 4
    np.testing.assert_array_equal(layer.data, before)
    assert spans(widget) == first_spans
    assert not shown.graph
    assert stack_panel.views[1].text() == "Tracks"  # nothing is proposed without the links
    widget.binding.objects.redo()
    widget.wait_until_idle(TIMEOUT_S)
    assert stack_panel.views[1].text() == "Tracks (1)"
    viewer.layers.remove(shown)
    assert not panel.shown.isChecked()
    widget.close()
    assert not tracks_layers(viewer)


def test_trackastra_gets_the_frames_of_the_image(opened, monkeypatch):
    _, widget, _ = opened
    given, said = [], []

    def link(tracks, objects, images, check):
        given.append(images)
        raise TargetError("There is no network.")

    monkeypatch.setattr("napari_sam.session.tracks.editing.link_by_trackastra", link)
    widget.session.notifier.warned.connect(said.append)
    widget.controllers.tracks.on_demand.get().trackastra_requested.emit()
    widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(given[0], IMAGE)
    assert said == ["There is no network."]


def test_tracks_are_edited_by_keys_and_by_a_file(opened, tmp_path):
    (viewer, widget, layer), said = opened, []
    widget.session.notifier.warned.connect(said.append)
    panel, table = widget.controllers.tracks.on_demand.get(), widget.controllers.objects.table
    before, first_spans = np.asarray(layer.data).copy(), spans(widget)
    widget.binding.prompts.start_points()
    viewer.dims.set_current_step(0, 5)
    widget.wait_until_idle(TIMEOUT_S)
    for place, selected in (((5, 40, 24), [3]), ((5, 12, 31), [2, 3]), ((5, 40, 24), [2])):
        viewer.cursor.position = place
        press(viewer, widget, "Shift+Q")
        assert sorted(table.selected) == selected
        viewer.layers.selection.active = layer  # the target, as when the brush is in use
    widget.binding.prompts.start_points()
    assert panel.about.text() == "Object 2 · frames 4-7"
    viewer.cursor.position = 5, 12, 31
    press(viewer, widget, "Shift+Q")
    assert table.selected == []
    assert panel.about.text().startswith("3 tracks: select some")
    press(viewer, widget, "Shift+Q")
    press(viewer, widget, "Shift+K")
    assert spans(widget)[4] == (5, 7, 0)
    assert table.selected == [4]
    press(viewer, widget, "Shift+I")
    assert said[-1] == "Select two objects."
    table.select_only([2, 4])
    press(viewer, widget, "Shift+I")
    assert spans(widget) == first_spans
    table.select_only([3])
    press(viewer, widget, "Shift+E")
    assert spans(widget)[3] == (0, 4, 0)
    table.select_only([1, 2])
    press(viewer, widget, "Shift+T")
    table.select_only([1])
    viewer.dims.set_current_step(0, 6)
    widget.wait_until_idle(TIMEOUT_S)
    press(viewer, widget, "Shift+D")
    assert said[-1] == "Object 1 is in one piece in frame 6."
    for _ in range(4):
        widget.binding.objects.undo()
        widget.wait_until_idle(TIMEOUT_S)
    np.testing.assert_array_equal(layer.data, before)
    assert spans(widget) == first_spans
    press(viewer, widget, "Shift+G")
    assert said[-1].startswith("No division is proposed")
    path = tmp_path / "tracks.csv"
    points = [(7, t, 12, 24) for t in range(4)] + [(8, t, 40, 24) for t in range(8)]
    points += [(9, t, 12, 29 + 2 * (t - 4)) for t in range(4, 8)]
    rows = [f"{n},{t},{y},{x},{7 if n == 9 else ''}" for n, t, y, x in points]
    path.write_text("\n".join(["track_id,frame,y,x,parent_id", *rows]))
    widget.controllers.objects.files.import_from(path)
    widget.wait_until_idle(TIMEOUT_S)
    assert spans(widget)[2] == (4, 7, 1)
    assert len(spans(widget)) == 4  # what no point lies in stays a track of its own


def test_slices_are_frames_once_the_user_says_so(make_widget):
    viewer, widget = make_widget(Image(IMAGE, name="stack"))
    layer = viewer.add_layer(Labels(np.pad(dividing(), ((0, 0), (0, 24), (0, 0))), name="cells"))
    widget.binding.target.set_layer(layer)
    widget.wait_until_idle(TIMEOUT_S)
    tracks, stack = widget.controllers.tracks, widget.controllers.stack
    stack.tab.select()
    assert widget.binding.tracks.axis is None
    stack.panel.frames.click()
    assert widget.binding.tracks.axis == 0
    assert tracks.on_demand.get().isHidden()  # the slices are shown first
    # What was carried through the film has fallen in two.
    plane, course = widget.binding.target.labels_plane, SimpleNamespace(label_id=1)
    tracks._on_propagated(SimpleNamespace(target=plane, courses=[course]))
    assert stack.panel.views[1].text() == "Tracks (1)"
    stack.panel.views[1].click()
    assert not tracks.on_demand.get().isHidden()
    click(widget, tracks.on_demand.get().confirm)
    assert spans(widget) == {1: (0, 3, 0), 2: (4, 7, 1), 3: (4, 7, 1)}
    assert widget.controllers.objects.table.selected == [2, 3]
    viewer.dims.ndisplay = 3
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.tracks.axis == 0
    viewer.dims.ndisplay = 2
    widget.wait_until_idle(TIMEOUT_S)
    stack.panel.frames.click()
    assert widget.binding.tracks.axis is None
    assert tracks.on_demand.get().isHidden()
