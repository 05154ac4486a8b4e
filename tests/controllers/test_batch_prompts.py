"""Batch prompts in a real window: from layers and from files."""

import threading

import numpy as np
from napari.layers import Image, Labels, Points, Shapes
from skimage import data

from napari_sam.controllers import batch_prompts
from napari_sam.formats import read_prompts
from napari_sam.session.jobs import run_until

TIMEOUT_S = 240
CENTRES_RC = [(51, 155), (51, 215), (53, 276), (56, 100)]


def shapes_layer():
    layer = Shapes(ndim=2, name="detector")
    for row, column in CENTRES_RC:
        corners = [(-24, -24), (-24, 24), (24, 24), (24, -24)]
        layer.add_rectangles(np.add(corners, (row, column)))
    layer.features = {"score": [0.5, 0.6, 0.7, 0.8], "class": ["a", "b", "a", "b"]}
    return layer


def run(widget):
    widget.wait_until_idle(TIMEOUT_S)
    widget.controllers.batch_prompts.panel.start.click()
    widget.wait_until_idle(TIMEOUT_S)
    return widget.binding.target.labels.registry


def test_boxes_and_points_of_layers_become_objects(make_widget, said):
    points = Points([*CENTRES_RC, (126, 102), (4, 4)], name="clicks")
    points.features = {"polarity": ["foreground"] * 5 + ["background"]}
    viewer, widget = make_widget(Image(data.coins(), name="coins"), shapes_layer(), points)
    many = widget.controllers.batch_prompts
    many.tab.select()
    combo = many.panel.combo
    assert many.panel.start.isEnabled() is False
    combo.setCurrentText("detector")
    widget.wait_until_idle(TIMEOUT_S)
    assert many.panel._about.text() == "4 objects in the layer."
    assert many.panel.start.text() == "Segment 4 objects"
    registry = run(widget)
    assert [record.class_name for record in sorted(registry, key=lambda one: one.label_id)] == [
        *("a", "b", "a", "b")
    ]
    target = widget.binding.target.layer
    assert [target.data[place] for place in CENTRES_RC] == [1, 2, 3, 4]
    assert widget.session.state.prompts.is_empty
    assert not many.panel._progress.isVisibleTo(many.panel)
    assert target not in combo.layers
    combo.setCurrentText("clicks")
    registry = run(widget)
    assert target.data[126, 102] == 9
    assert len(registry) in (5, 6, 7, 8, 9)  # what lies on the others keeps what is left to it
    widget.binding.objects.undo()
    assert len(registry) == 4
    viewer.layers.remove("clicks")
    assert many.panel.start.isEnabled() is False


def test_files_and_labels_and_what_cannot_be_used(make_widget, tmp_path):
    boxes = [f"{c - 24},{r - 24},{c + 24},{r + 24},coin\n" for r, c in CENTRES_RC]
    file = tmp_path / "boxes.csv"
    file.write_text("x0,y0,x1,y1,class\n" + "".join(boxes))
    rough = np.zeros((303, 384), np.uint8)
    for number, (row, column) in enumerate(CENTRES_RC, start=7):
        rough[row - 17 : row + 17, column - 17 : column + 17] = number
    elsewhere = Labels(np.zeros((20, 20), np.uint8), name="small")
    viewer, widget = make_widget(
        Image(data.coins(), name="coins"), Labels(rough, name="rough"), elsewhere
    )
    many = widget.controllers.batch_prompts
    many.panel.file_chosen.emit(file)
    registry = run(widget)
    assert [record.class_name for record in registry] == ["coin"] * 4
    from_boxes = widget.binding.target.layer.data > 0
    widget.binding.objects.undo()
    many.use_layer(viewer.layers["rough"])
    registry = run(widget)
    assert len(registry) == 4
    refined = widget.binding.target.layer.data > 0
    assert (refined & from_boxes).sum() / (refined | from_boxes).sum() > 0.85
    np.testing.assert_array_equal(viewer.layers["rough"].data, rough)
    file.write_text("a,b\n1,2\n")
    for use, why in (
        (lambda: many.use_layer(elsewhere), "does not lie on the image"),
        (lambda: many.use_file(file), "No columns named"),
    ):
        use()
        widget.wait_until_idle(TIMEOUT_S)
        assert why in many.panel._about.text()
        assert not many.panel.start.isEnabled()


def test_prompts_are_used_where_they_were_read_and_a_start_is_not_forgotten(make_widget, tmp_path):
    coins = data.coins()
    stack = np.stack([coins[:128, 90:218], coins[100:228, 90:218]])
    viewer, widget = make_widget(Image(stack, name="coins"))
    viewer.dims.set_current_step(0, 0)
    file = tmp_path / "points.csv"
    file.write_text("index,axis-0,axis-1,axis-2\n0,0,51,65\n1,0,56,10\n2,0,x,10\n")
    many, gate, warned = widget.controllers.batch_prompts, threading.Event(), []
    many.use_file(file)
    widget.wait_until_idle(TIMEOUT_S)
    assert many.panel._about.text() == (
        "2 objects on this slice in points.csv; 1 entry left out "
        "(line 4: 'x' in the column axis-1 is not a number)."
    )
    reader = many._reader

    def slow_reader():
        read = reader()
        return lambda: (gate.wait(TIMEOUT_S), read())[1]

    many._reader = slow_reader
    widget.session.notifier.warned.connect(warned.append)
    many.start()
    viewer.dims.set_current_step(0, 1)
    widget.binding.plane.check()
    gate.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.binding.target.labels is None  # nothing was begun
    assert warned == []
    viewer.dims.set_current_step(0, 0)
    widget.wait_until_idle(TIMEOUT_S)

    gate.clear()
    many._count()
    many.start()
    many._count()  # as folding and unfolding does
    gate.set()
    widget.wait_until_idle(TIMEOUT_S)
    assert {record.start[0] for record in widget.binding.target.labels.registry} == {0}

    gate.clear()
    many._count()
    viewer.layers.remove("coins")
    widget.binding.plane.check()
    gate.set()
    widget.wait_until_idle(TIMEOUT_S)  # an error in a callback would come out here
    assert not many.panel.start.isEnabled()


def test_a_count_says_what_it_left_out_itself_while_a_start_reads(
    make_widget, tmp_path, monkeypatch
):
    _, widget = make_widget(Image(data.coins(), name="coins"))
    many, counted, started = widget.controllers.batch_prompts, threading.Event(), threading.Event()
    file = tmp_path / "points.csv"
    file.write_text("x,y\n155,51\n1,x\n")

    def held_read(*arguments, **options):
        is_start = threading.current_thread().name.startswith("napari-sam-prompts")
        if is_start:
            assert started.wait(TIMEOUT_S)
        prompts = read_prompts(*arguments, **options)
        if not is_start:
            assert counted.wait(TIMEOUT_S)
        return prompts

    monkeypatch.setattr(batch_prompts, "read_prompts", held_read)
    many.use_file(file)
    many.start()
    counted.set()
    dispatcher = widget.session.background.dispatcher
    run_until(lambda: many.panel.start.isEnabled(), dispatcher, TIMEOUT_S, "count")
    assert "1 entry left out (line 3" in many.panel._about.text()
    started.set()
    widget.wait_until_idle(TIMEOUT_S)


def test_more_points_than_one_object_may_have_lead_to_batch_prompts(make_widget):
    many = Points(np.random.default_rng(0).uniform(0, 300, (500, 2)), name="many")
    _, widget = make_widget(Image(data.coins(), name="coins"), many)
    widget.binding.prompts.set_layers(many, None)
    widget.wait_until_idle(TIMEOUT_S)
    state, title = widget.session.state, widget.controllers.batch_prompts.tab.title
    assert state.candidates is None
    assert state.hint.startswith("500 points are too many for one object")
    assert f"use {title}" in state.hint
    many.data = [CENTRES_RC[0]]
    widget.wait_until_idle(TIMEOUT_S)
    assert widget.session.state.candidates is not None


def test_a_selected_layer_of_shapes_is_the_source_unless_there_is_one(make_widget, qtbot):
    viewer, widget = make_widget(Image(data.coins(), name="coins"), shapes_layer())
    objects, many = widget.controllers.objects, widget.controllers.batch_prompts
    viewer.layers.selection.active = viewer.layers["coins"]
    many.tab.select()
    assert many.panel.combo.layer is None
    objects.tab.select()
    viewer.layers.selection.active = viewer.layers["detector"]
    many.tab.select()
    widget.wait_until_idle(TIMEOUT_S)
    assert many.panel.combo.layer is viewer.layers["detector"]
    assert many.panel.start.text() == "Segment 4 objects"
    other = viewer.add_shapes([[(1, 1), (9, 9)]], name="other")
    objects.tab.select()
    viewer.layers.selection.active = other
    many.tab.select()
    assert many.panel.combo.layer is viewer.layers["detector"]

    # One that is made while the page is shown is taken, and counted as it is drawn in.
    for layer in ("detector", "other"):
        viewer.layers.remove(layer)
    assert many.panel._about.text().startswith("Add a Points or Shapes layer")
    drawn = viewer.add_shapes(name="drawn")
    assert many.panel.combo.layer is drawn
    drawn.add_rectangles([[(30, 50), (90, 120)], [(100, 50), (150, 120)]])
    qtbot.waitUntil(lambda: many.panel.start.text() == "Segment 2 objects", timeout=30_000)
