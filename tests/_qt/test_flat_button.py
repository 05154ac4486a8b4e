from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QMenu

from napari_sam._qt.flat_button import FlatButton


def test_a_button_acts_and_another_text_needs_no_more_room(shown):
    calls = []
    button = shown(FlatButton("Go", "starts it", lambda: calls.append("go")), width=60)
    button.click()
    assert calls == ["go"]
    width = button.minimumSizeHint().width()
    button.setText("Go on and on until there is no room any more")
    assert button.minimumSizeHint().width() <= max(width, 32)
    assert button.accessibleName() == button.text()


def test_a_text_that_is_kept_whole_has_room_in_a_font_that_is_set_later(shown):
    button = shown(FlatButton("Slices"))
    button.keep_whole()
    font = button.font()
    font.setPointSizeF(2 * font.pointSizeF())
    button.setFont(font)
    assert button.minimumSizeHint().width() > button.fontMetrics().horizontalAdvance("Slices")


def test_keys_press_it_and_it_has_a_name_without_words(shown, qtbot):
    calls = []
    button = shown(FlatButton("▾", "Which objects: all of them", lambda: calls.append("go")))
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
        qtbot.keyClick(button, key)
    assert calls == ["go"] * 3
    assert button.accessibleName() == "Which objects"
    button.setToolTip("Undo the last change (Ctrl+Z)")
    assert button.accessibleName() == "Undo the last change"


def test_it_is_painted_in_the_colors_of_the_theme(shown):
    button = shown(FlatButton("", icon="points"), width=60)
    shades = []
    for color in ("black", "white"):
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.WindowText, QColor(color))
        button.setPalette(palette)
        shades.append(button.content_color.name())
    assert shades == ["#000000", "#ffffff"]


def test_clicks_leave_the_focus_where_it_is(qtbot):
    button = FlatButton("Go")
    qtbot.addWidget(button)
    assert not button.focusPolicy() & Qt.FocusPolicy.ClickFocus


def test_every_icon_can_be_painted(shown):
    names = "points rectangle lasso polygon ellipse scribble line plus minus model appearance "
    names += "undo redo more"
    empty = shown(FlatButton("")).grab().toImage()
    for name in names.split():
        button = shown(FlatButton("", icon=name))
        button.set_key("P")
        assert button.grab().toImage() != empty


def test_a_menu_opens_below(shown, qtbot):
    button = shown(FlatButton("More"))
    menu = QMenu(button)
    menu.addAction("one")
    button.set_menu(menu)
    button.click()
    qtbot.waitUntil(menu.isVisible)
    menu.close()
