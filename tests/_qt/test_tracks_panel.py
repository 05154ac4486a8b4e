"""The panel for tracks says what is selected, offers what is possible, and requests it."""

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog, QMenu

from napari_sam._qt.building import ShortcutTexts
from napari_sam._qt.tracks_panel import TracksPanel
from napari_sam.session.propagation.stack_run import StackRun
from napari_sam.session.tracks.divisions import ProposedDivision
from napari_sam.session.tracks.editing import LinkRun, TracksState
from napari_sam.session.tracks.lineage import Lineages
from napari_sam.session.tracks.selection import TrackSelection

from ..session.tracks.films import Film, bars

DIVISIONS = ProposedDivision(4, (3, 1, 1)), ProposedDivision(7, (6, 1, 1), ((7, 1, 1), (7, 9, 1)))


@pytest.fixture
def lineages():
    film = Film(bars())
    film.tracks.divide(1, (1, 2), 3)
    return film.tracks.lineages


@pytest.fixture
def panel(qtbot, lineages):
    panel = TracksPanel(ShortcutTexts())
    qtbot.addWidget(panel)
    return panel


@pytest.fixture
def requests(panel):
    requests = []
    for name in (
        *("layer_toggled", "link_requested", "stop_requested", "edit_requested"),
        *("go_requested", "confirm_requested", "confirm_all_requested", "reject_requested"),
        "import_requested",
    ):
        signal = getattr(panel, name)
        signal.connect(lambda *values, name=name: requests.append((name, *values)))
    return requests


def show(panel, lineages, *label_ids, frame=3, run=None, divisions=(), division=None):
    state = TracksState(0, divisions, run)
    panel.show_state(state, TrackSelection(lineages, label_ids, frame), division)


def enabled(panel):
    return {edit.value for edit, widget in panel.edits.items() if widget.isEnabled()}


def test_it_says_what_is_selected_and_offers_what_is_possible(panel, lineages, requests):
    show(panel, lineages)
    assert panel.about.text() == "5 tracks: select some in the table"
    assert enabled(panel) == set()
    panel.texts.show({"select_object": "Shift+Q", "cut_track": "Shift+K"})
    assert panel.about.text().endswith("(or Shift+Q)")
    show(panel, lineages, 1)
    assert panel.about.text() == "Object 1 · frames 0-2 · divides into 2, 4"
    assert enabled(panel) == {"undivide"}
    show(panel, lineages, 2, frame=4)
    assert panel.about.text() == "Object 2 · frames 3-5 · from 1"
    assert enabled(panel) == {"cut", "end", "divide", "undivide"}
    by_text = {widget.text(): widget for widget in panel.edits.values()}
    assert by_text["Cut here"].toolTip().endswith("from this frame on (Shift+K)")
    assert by_text["Join"].toolTip() == "Select two objects"
    by_text["Cut here"].click()
    by_text["Join"].click()  # disabled
    assert requests == [("edit_requested", "cut")]


def test_objects_that_are_propagated_are_followed_here_too(panel, lineages):
    show(panel, lineages)
    still = panel.next_step.text()
    selection = TrackSelection(lineages, (), 3)
    panel.show_state(TracksState(0), selection, None, StackRun(3, 12, 2))
    assert panel._progress.text() == "Propagating: 3 of at most 12 slices · 2 objects"
    assert panel._status.currentWidget() is panel._progress
    show(panel, lineages)
    assert panel._status.currentWidget() is panel.about
    assert panel.next_step.text() == still


def test_it_says_what_to_do_and_why_edits_cannot_be_made(panel, lineages):
    for label_ids, frame, hint in (
        ((), 3, "Select one to cut, divide or end it, two to join."),
        ((2,), 4, "Cut, divide or end it here; with another one: join, swap."),
        ((2,), 9, "Cut here, End here · Go to one of the frames 4 to 5. Divide here · Select both"),
        ((2, 4), 4, "Join · Both are in frame 3: cut one of them first"),
        ((1, 2, 3, 4), 4, "Divide here · Select the object that divides"),
    ):
        show(panel, lineages, *label_ids, frame=frame)
        assert panel.next_step.text().startswith(hint)
    show(panel, lineages, 2, run=LinkRun(0, 6))
    assert panel.next_step.text() == "Edits wait for the links."
    show(panel, Lineages((), 0))
    assert panel.next_step.text() == ""


def test_tracks_are_shown_as_a_layer_where_napari_can(panel, requests):
    panel.show_layer("Time is not the first axis")
    assert not panel.shown.isEnabled()
    assert panel.shown.toolTip() == "Time is not the first axis"
    panel.show_layer(None, is_shown=True)
    panel.shown.click()
    assert requests == [("layer_toggled", False)]


def test_linking_shows_its_progress_in_place_and_is_stopped(panel, lineages, requests):
    panel.show()
    show(panel, lineages, 1)
    height = panel.sizeHint().height()
    panel.link.click()
    show(panel, lineages, 1, run=LinkRun(2, 6))
    assert panel._progress.text() == "2 of 6 frames"
    assert enabled(panel) == set()
    panel.link.click()
    show(panel, lineages, 1, run=LinkRun(6, 6))
    assert panel._progress.text() == "Linking…"
    show(panel, lineages, 1, run=LinkRun(6, 6, is_stopping=True))
    assert not panel.link.isEnabled()
    show(panel, lineages, 1, divisions=DIVISIONS, division=DIVISIONS[0])
    assert panel.link.text() == "Link frames"
    assert panel.sizeHint().height() == height
    assert requests == [("link_requested",), ("stop_requested",)]
    show(panel, Lineages((), 0))
    assert not panel.link.isEnabled()
    assert panel.link.toolTip().startswith("Segment objects in each frame first")


def test_proposed_divisions_are_decided_one_by_one_or_together(panel, lineages, requests):
    panel.show()
    show(panel, lineages)
    assert not panel.proposals.isVisible()
    show(panel, lineages, divisions=DIVISIONS, division=DIVISIONS[1])
    assert panel.proposal.text() == "2 of 2 proposed divisions · frame 7"
    for widget in (panel.go, panel.confirm, panel.reject, panel.confirm_all):
        widget.click()
    names = [name for name, *_ in requests]
    assert names == [f"{n}_requested" for n in ("go", "confirm", "reject", "confirm_all")]
    show(panel, lineages, divisions=DIVISIONS[:1], division=DIVISIONS[0])
    assert panel.proposal.text() == "1 proposed division · frame 4"


def test_files_and_folders_of_tracks_are_asked_for(panel, requests, monkeypatch, tmp_path):
    path = tmp_path / "tracks.csv"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    panel._ask_for_file()
    panel._ask_for_folder()
    assert requests == [("import_requested", path)]


def test_an_empty_film_has_no_tracks_yet(panel):
    show(panel, Lineages((), 0))
    assert panel.about.text() == "No tracks yet"
    assert np.all([not widget.isEnabled() for widget in panel.edits.values()])


@pytest.mark.parametrize("is_installed", [False, True])
def test_trackastra_is_offered_where_it_is_installed(qtbot, heard, monkeypatch, is_installed):
    name = "napari_sam._qt.tracks_panel.is_trackastra_installed"
    monkeypatch.setattr(name, lambda: is_installed)
    panel = TracksPanel(ShortcutTexts())
    qtbot.addWidget(panel)
    requests = heard(panel, "trackastra_requested")
    texts = {action.text(): action for action in panel.findChild(QMenu).actions()}
    assert ("Link by Trackastra" in texts) == is_installed
    if is_installed:
        texts["Link by Trackastra"].trigger()
        assert requests == [("trackastra_requested",)]
