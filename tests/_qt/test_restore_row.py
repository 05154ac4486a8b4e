import time
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_sam._qt.restore_row import RestoreRow
from napari_sam.session.journal.files import JournalSummary
from napari_sam.session.journal.headers import ImageReference, JournalHeader


def journal(n_objects, is_closed=False, age_s=0.0):
    image = ImageReference("coins", "/data/coins.tif", (9, 9), "uint8")
    header = JournalHeader(image, (9, 9), np.dtype(np.uint8))
    return JournalSummary(Path("a"), header, n_objects, time.time() - age_s, is_closed)


@pytest.fixture
def row(qtbot):
    row = RestoreRow()
    qtbot.addWidget(row)
    return row


def test_the_newest_is_named(row):
    assert row.isHidden()
    row.show_offer((journal(3),))
    text = row._text.text()
    assert text.startswith("3 unsaved objects on 'coins' (to")
    assert text.endswith("; napari did not exit cleanly).")
    assert "/data/coins.tif" in row._text.toolTip()
    row.show_offer((journal(1, is_closed=True, age_s=10 * 86400), journal(2), journal(2)))
    text = row._text.text()
    assert text.startswith("1 unsaved object on 'coins' (20")
    assert ";" not in text
    assert text.endswith("2 older sets can be restored next.")
    row.later.click()
    assert row.isHidden()
    row.show_offer((journal(2),))
    assert not row.isHidden()
    row.show_offer(())
    assert row.isHidden()


def test_discarding_takes_two_presses(row, heard):
    requests = heard(row, "restore.clicked", "discard_requested")
    row.show_offer((journal(3),))
    row._discard.click()
    assert requests == []
    assert row._discard.text() == "Really discard"
    row.show_offer((journal(2),))  # another offer asks again
    assert row._discard.text() == "Discard objects"
    row._discard.click()
    row._discard.click()
    row.restore.click()
    assert requests == [("discard_requested",), ("restore.clicked",)]


def test_the_second_press_is_not_awaited_for_long(row, heard, qtbot):
    requests = heard(row, "discard_requested")
    row.show_offer((journal(3),))
    row._discard.click()
    QApplication.sendEvent(row._discard, QEvent(QEvent.Type.Leave))
    assert row._discard.text() == "Discard objects"
    row._confirm_timer.setInterval(1)
    row._discard.click()
    qtbot.waitUntil(lambda: row._discard.text() == "Discard objects")
    row._discard.click()
    assert requests == []


def test_progress_takes_the_place_of_the_buttons(row):
    row.show_offer((journal(3),))
    row.show_progress(0.4)
    assert row._progress.value() == 40
    assert not row._progress.isHidden()
    assert row.restore.isHidden()
    assert row._discard.isHidden()
