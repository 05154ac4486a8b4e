from functools import partial

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QLabel, QWidget

from napari_sam._qt.building import (
    ShortcutTexts,
    button,
    check_box,
    combo_box,
    fill,
    progress_bar,
    rest_timer,
    row,
)


def test_buttons_and_boxes_start_their_actions(qtbot):
    calls = []
    push_button = button("Go", "starts it", lambda: calls.append("go"))
    box = check_box("on", "switches it", checked=True)
    box.toggled.connect(calls.append)
    for widget in (push_button, box):
        qtbot.addWidget(widget)
    assert (push_button.toolTip(), box.toolTip()) == ("starts it", "switches it")
    assert calls == []
    push_button.click()
    box.click()
    assert calls == ["go", False]


def test_parts_share_the_width_or_leave_it_to_one(shown):
    bar = progress_bar("")
    assert (bar.minimum(), bar.maximum()) == (0, 100)
    equal = [QLabel() for _ in range(3)]
    wide, narrow = QLabel(), QLabel("narrow")
    outer = QWidget()
    fill(outer, row(*equal), row(wide, narrow, stretch=wide), bar)
    shown(outer, width=600)
    widths = [label.width() for label in equal]
    assert max(widths) - min(widths) <= 1
    assert narrow.width() < 100 < wide.width()
    assert bar.width() == 600


def test_texts_name_the_keys_that_are_in_force():
    said, texts = {}, ShortcutTexts()
    texts.add(partial(said.__setitem__, "button"), "Accept", "accept")
    texts.add(partial(said.__setitem__, "tip"), "Delete these", "remove", "{} over one")
    assert said == {"button": "Accept", "tip": "Delete these"}
    texts.show({"accept": "J", "remove": "Shift+X"})
    assert said == {"button": "Accept (J)", "tip": "Delete these (Shift+X over one)"}
    texts.add_key(partial(said.__setitem__, "key"), "remove")
    assert said.pop("key") == "Shift+X"
    texts.show({"accept": "", "remove": "X"})
    assert said.pop("key") == "X"
    assert said == {"button": "Accept", "tip": "Delete these (X over one)"}


def test_a_timer_waits_until_nothing_has_happened_for_a_while(qtbot):
    parent, calls = QObject(), []
    timer = rest_timer(parent, 200, lambda: calls.append(1))
    assert not timer.isActive()
    for _ in range(3):
        timer.start()
        qtbot.wait(20)
    assert timer.isActive()
    assert calls == []
    qtbot.waitUntil(lambda: calls == [1])
    assert not timer.isActive()


def test_an_entry_does_not_widen_a_combo_box(qtbot):
    combo = combo_box("", [("short", "")])
    qtbot.addWidget(combo)
    width = combo.minimumSizeHint().width()
    combo.addItem("an entry that is much longer than the dock is wide")
    assert combo.minimumSizeHint().width() == width
