"""Messages in the dock's own line, or as napari's notifications where it is not visible."""

import pytest
from napari.layers import Image
from napari.utils.notifications import notification_manager
from skimage import data

from napari_sam._qt.colors import Severity
from napari_sam.controllers import messages as shown_messages
from napari_sam.session.automatic.picture import Painter
from tests.session.automatic.reviewed import SIZE, square

TIMEOUT_S = 120


def toasts():
    return [record.message for record in notification_manager.records]


@pytest.fixture
def opened(make_widget, qtbot):
    viewer, widget = make_widget(Image(data.coins(), name="coins"), show=True)
    qtbot.waitUntil(widget.isVisible)
    return viewer, widget, widget.controllers.annotate.hint


def test_a_message_lies_over_the_hint_for_a_while(opened, qtbot):
    _, widget, line = opened
    # A first click counts, without a choice of a tool.
    qtbot.waitUntil(lambda: line.text() == "Click on an object.")
    assert line.severity is Severity.HINT
    widget.session.notifier.warn("Covered by object 3.")
    assert (line.text(), line.severity) == ("Covered by object 3.", Severity.WARNING)
    assert line.toolTip() == "Covered by object 3."
    widget.binding.prompts.start_tool("rectangle")  # another hint, for later
    assert line.text() == "Covered by object 3."
    messages = widget.controllers.annotate._messages
    messages._timer.setInterval(1)
    messages.info("Exported 3 objects.")
    qtbot.waitUntil(lambda: line.text() == "Drag a box around an object.")
    assert toasts() == []


def test_the_next_success_takes_it_back(opened, monkeypatch):
    viewer, widget, line = opened
    widget.binding.prompts.start_points()
    widget.session.notifier.warn("Covered by object 3.")
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    monkeypatch.setattr(shown_messages, "_LEAST_S", 0)
    widget.session.notifier.warn("Covered by object 3.")
    widget.binding.objects.accept()
    assert line.severity is Severity.HINT
    widget.session.objects.remove([1])
    widget.session.notifier.warn("No more objects in this direction.")
    widget.binding.objects.undo()
    widget.wait_until_idle(TIMEOUT_S)
    assert line.severity is Severity.HINT


def test_a_warning_stays_until_the_user_goes_on(opened, qtbot, monkeypatch):
    viewer, widget, line = opened
    widget.binding.prompts.start_points()
    messages = widget.controllers.annotate._messages
    messages._timer.setInterval(1)
    messages.info("Exported 3 objects.")
    widget.session.notifier.warn("Covered by object 3.")
    qtbot.wait(20)
    assert line.text() == "Covered by object 3."
    monkeypatch.setattr(shown_messages, "_LEAST_S", 0)
    widget.controllers.options.panel.overlap_combo.setCurrentText("replace the others")
    assert line.severity is Severity.HINT
    viewer.layers["SAM points"].add([(68, 104)])
    widget.wait_until_idle(TIMEOUT_S)
    review = widget.session.automatic_review
    masks = [square(10, 10, 5), square(20, 20, 5), square(30, 30, 5)]
    widget.session.automatic._show(Painter(SIZE).paint(masks))
    for go_on in (
        lambda: widget.session.object_in_progress.choose_next(),
        widget.session.object_in_progress.clear,
        lambda: review.step(1),
        review.reject_current,
        review.show_all,
    ):
        widget.session.notifier.warn("Covered by object 3.")
        go_on()
        assert line.severity is Severity.HINT


def test_messages_are_listed(opened):
    _, widget, line = opened
    messages = widget.controllers.annotate._messages
    messages.info("Exported 3 objects.")
    assert line.severity is Severity.INFO
    messages.fail("Could not save.")
    assert line.severity is Severity.ERROR
    line.clicked.emit()
    text = messages._popup._text.text()
    assert messages._popup.isVisible()
    assert text.index("Could not save.") < text.index("Exported 3 objects.")
    messages._popup.close()


def test_where_the_dock_is_not_visible_napari_says_it(opened):
    _, widget, line = opened
    hint = line.text()
    widget.parent().hide()
    widget.session.notifier.warn("Covered by object 3.")
    assert toasts() == ["Covered by object 3."]
    assert line.text() == hint
