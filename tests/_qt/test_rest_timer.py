from qtpy.QtCore import QObject

from napari_sam._qt.rest_timer import RestTimer


def test_it_waits_until_nothing_has_happened_for_a_while(qtbot):
    parent, calls = QObject(), []
    timer = RestTimer(parent, 200, lambda: calls.append(1))
    assert not timer.isActive()
    for _ in range(3):
        timer.restart()
        qtbot.wait(20)
    assert timer.isActive()
    assert calls == []
    qtbot.waitUntil(lambda: calls == [1])
    assert not timer.isActive()
