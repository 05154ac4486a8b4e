"""What is in progress is in the journal once it rests, and no longer than it is in progress."""

import time
from dataclasses import replace

from napari_sam.session.decoding.object_state import ObjectState
from napari_sam.session.image.tiles import Tile
from napari_sam.session.journal import files
from napari_sam.session.journal.journal import Journal
from napari_sam.session.journal.replaying import read_journal
from napari_sam.session.journal.unfinished import UnfinishedObject
from napari_sam.session.prompts.prompts import Prompts
from napari_sam.session.prompts.shapes import Outline, Scribble
from tests.session.annotating import REFERENCE, Annotator

CLICK = Prompts(((30.5, 40),), (1,))
STATE = ObjectState(CLICK, 2, (20, 30, 50.5, 60), level=0.25, tile=Tile(0, 0, 0, 9, 9))
CLICKED = UnfinishedObject(STATE, (0, 0), (0, 1), 7, "Münze")
OUTLINE = Outline(((1, 2), (30, 2), (9, 40)))
DRAWN = Prompts(
    ((3, 4), (9, 8)), (1, 0), outline=OUTLINE, scribbles=(Scribble(((1, 1), (5, 6)), 0),)
)
OTHER = UnfinishedObject(ObjectState(DRAWN), (0, 0), (1, 0))


def offered():
    """What is offered: the numbers of objects, accepted and not, and whether it was closed."""
    return [
        (summary.n_objects, summary.n_unfinished, summary.is_closed)
        for summary in files.find_journals(REFERENCE)
    ]


def directions(journal):
    return [entry["direction"] for entry in read_journal(journal.path).entries()]


def test_it_is_read_as_it_was_without_masks(other_program):
    journal = Annotator(0).journal
    assert journal.record_unfinished([OTHER, CLICKED])
    content = read_journal(journal.path)
    assert content.unfinished == (OTHER, CLICKED)
    assert content.unfinished[1].state.choice_box == STATE.choice_box
    assert not content.warning
    journal.record_unfinished([OTHER, CLICKED])
    assert directions(journal) == ["unfinished"]  # once
    other_program()
    assert offered() == [(0, 2, False)]


def test_the_last_entry_counts_and_each_has_what_is_in_progress():
    annotator = Annotator(0)
    annotator.accept()
    annotator.journal.record_unfinished([OTHER])
    annotator.journal.record_unfinished([CLICKED])
    annotator.paint()
    assert read_journal(annotator.journal.path).unfinished == (CLICKED,)
    annotator.journal.record_unfinished([])
    assert read_journal(annotator.journal.path).unfinished == ()
    assert "unfinished" not in list(read_journal(annotator.journal.path).entries())[-1]


def test_the_entry_of_the_accepted_object_ends_it():
    prompts = made_by(Annotator(0)).state.prompts
    annotator = Annotator(0)
    rested = replace(CLICKED, state=ObjectState(prompts))
    annotator.journal.record_unfinished([OTHER, rested])
    annotator.accept()
    content = read_journal(annotator.journal.path)
    assert content.unfinished == (OTHER,)
    assert directions(annotator.journal) == ["unfinished", "made"]


def test_an_object_that_got_one_more_click_before_it_was_accepted_is_finished_too():
    record = made_by(Annotator(0))
    more = replace(record.state.prompts, points_xy=((1, 1), (2, 2)), point_labels=(1, 1))
    fewer = replace(record.state.prompts, points_xy=((1, 1),))
    record = replace(record, state=ObjectState(more))
    assert replace(CLICKED, state=ObjectState(fewer)).is_finished_by(record)
    assert not OTHER.is_finished_by(record)


def made_by(annotator):
    annotator.accept()
    (record,) = annotator.labels.registry
    return record


def test_how_it_ends_is_told(other_program):
    closed, emptied, gone_on, saved, changed, accepted = (Annotator(seed) for seed in range(6))
    for annotator in (closed, emptied, gone_on):
        annotator.journal.record_unfinished([CLICKED])
    emptied.journal.record_unfinished([])
    for annotator in (saved, changed, accepted):
        annotator.accept()
        annotator.journal.record_unfinished([CLICKED])
        annotator.journal.mark_saved(CLICKED)
        annotator.journal.record_unfinished([CLICKED])
        time.sleep(0.002)  # the order in which they are offered
    changed.journal.record_unfinished([OTHER])
    accepted.accept()
    for annotator in (closed, emptied, saved, changed):
        annotator.journal.close()
    assert emptied.journal.path is None
    assert directions(saved.journal)[-1] == "saved"
    other_program()
    assert sorted(offered()) == [(0, 1, False), (0, 1, True), (0, 1, True), (2, 1, False)]
    assert read_journal(changed.journal.path).unfinished == (OTHER,)


def test_it_waits_for_the_objects_that_are_there_already():
    annotator = Annotator(0, journal=False)
    annotator.accept()
    journal = Journal(REFERENCE, annotator.labels)
    journal.buffer()
    assert not journal.record_unfinished([CLICKED])
    journal.prepare()
    assert journal.record_unfinished([CLICKED])
    assert directions(journal) == ["found", "unfinished"]
    journal.path.unlink()  # lost: begun again with everything
    journal.record_unfinished([OTHER])
    content = read_journal(journal.path)
    assert content.unfinished == (OTHER,)
    assert len(content.lines) > 1


def test_a_resumed_journal_goes_on_with_it():
    annotator = Annotator(0)
    annotator.journal.record_unfinished([CLICKED])
    content = read_journal(annotator.journal.path)
    journal = Journal.resume(
        *(annotator.journal.path, content.sound_bytes, REFERENCE, annotator.labels),
        content.classes,
        content.unfinished,
    )
    journal.record_unfinished([CLICKED])
    assert directions(journal) == ["unfinished"]
    journal.close()
    assert read_journal(journal.path).unfinished == (CLICKED,)
