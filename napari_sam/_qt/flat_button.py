"""A button that is painted in the theme's colors, and whose text never lays out anything."""

from collections.abc import Callable
from typing import Final

from qtpy.QtCore import QEvent, QPoint, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QEnterEvent, QKeyEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QAbstractButton, QMenu, QSizePolicy

from napari_sam._qt.colors import ACCENT, ON_COLOR, paint_focus, text_color
from napari_sam._qt.icons import paint_icon
from napari_sam._qt.spoken_names import spoken_name

HEIGHT_PX: Final = 28
_ICON_PX: Final = 18
_RADIUS_PX: Final = 4
_MARGIN_PX: Final = 8
_KEY_SIZE: Final = 0.78
"""Size of a key's letter, in that of the font."""
_MOST_LETTERS: Final = 2
"""Longer names of keys are only in tooltips."""
_SHADES: Final = {"disabled": 0.04, "rest": 0.1, "hover": 0.18, "down": 0.28}
_FAINT: Final = 0.35
"""Opacity of the text of a button that is disabled."""


class FlatButton(QAbstractButton):
    """Shows a text, or an icon with the letter of its key; as wide as its layout makes it.

    The text of a `QPushButton` redoes all layouts up to the window; this one is only painted again.
    It takes the focus by Tab but not by a click, so that keys go on to work in the canvas.
    """

    def __init__(
        self,
        text: str = "",
        tooltip: str = "",
        action: Callable[[], object] | None = None,
        *,
        icon: str = "",
        checkable: bool = False,
        color: QColor = ACCENT,
        is_primary: bool = False,
    ) -> None:
        super().__init__()
        self._text, self._key, self._icon = text, "", icon
        self._color, self._is_primary = color, is_primary
        self._is_hovered = False
        self._whole = ""  # what it is never too narrow for
        self.setToolTip(tooltip)
        self.setCheckable(checkable)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(HEIGHT_PX)
        if action is not None:
            self.clicked.connect(lambda: action())

    def set_menu(self, menu: QMenu) -> None:
        """Open a menu below when pressed."""
        self.clicked.connect(lambda: menu.popup(self.mapToGlobal(QPoint(0, self.height()))))

    def text(self) -> str:
        """Return the text."""
        return self._text

    def setText(self, text: str) -> None:
        """Show another text."""
        if text != self._text:
            self._text = text
            self._update_spoken_name()
            self.update()

    def setToolTip(self, tooltip: str) -> None:
        """Say more about it."""
        super().setToolTip(tooltip)
        self._update_spoken_name()

    @property
    def spoken_name(self) -> str:
        """What a screen reader calls it: its text or, without words, how its tooltip begins."""
        has_words = any(letter.isalnum() for letter in self._text)
        return self._text if has_words else spoken_name(self.toolTip())

    def _update_spoken_name(self) -> None:
        self.setAccessibleName(self.spoken_name)

    @property
    def key(self) -> str:
        """The name of its key, which is shown beside an icon."""
        return self._key

    def set_key(self, key: str) -> None:
        """Show another key; "" for none."""
        if key != self._key:
            self._key = key
            self.update()

    def set_primary(self, is_primary: bool) -> None:
        """Fill it with its color, or not."""
        if is_primary != self._is_primary:
            self._is_primary = is_primary
            self.update()

    # Size --------------------------------------------------------------------------------------

    def keep_whole(self) -> None:
        """Show a text as long as the present one without eliding it, in any font."""
        self._whole = self._text
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """Leave room for the text."""
        width = _ICON_PX if self._icon else self.fontMetrics().horizontalAdvance(self._text)
        return QSize(width + 2 * _MARGIN_PX, HEIGHT_PX)

    def minimumSizeHint(self) -> QSize:
        """Accept less width: the text is elided then, unless it is to be whole."""
        if self._whole:
            return QSize(self.fontMetrics().horizontalAdvance(self._whole) + _MARGIN_PX, HEIGHT_PX)
        width = self.sizeHint().width() if self._icon else 4 * _MARGIN_PX
        return QSize(min(width, self.sizeHint().width()), HEIGHT_PX)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Let Enter press it, too."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self.click()
        else:
            super().keyPressEvent(event)

    # Painting ------------------------------------------------------------------------------------

    def enterEvent(self, event: QEnterEvent) -> None:
        """Light up under the mouse."""
        self._is_hovered = True
        self.update()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Go back to rest."""
        self._is_hovered = False
        self.update()
        super().leaveEvent(event)

    @property
    def _is_filled(self) -> bool:
        return self.isEnabled() and (self.isChecked() or self._is_primary)

    @property
    def shade(self) -> float:
        """The opacity of the theme's text color behind it."""
        if not self.isEnabled():
            return _SHADES["disabled"]
        if self.isDown():
            return _SHADES["down"]
        return _SHADES["hover" if self._is_hovered else "rest"]

    @property
    def content_color(self) -> QColor:
        """The color of its text and icon."""
        if self._is_filled:
            return ON_COLOR
        return text_color(self, 1.0 if self.isEnabled() else _FAINT)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Paint background, icon, text and key."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        self.paint_background(painter, box)
        self.paint_content(painter, box)
        if self.hasFocus():
            paint_focus(self, painter)

    def paint_background(self, painter: QPainter, box: QRectF) -> None:
        """Paint what lies behind text and icon."""
        painter.setPen(Qt.PenStyle.NoPen)
        if self._is_filled:
            hovered = self._color.lighter(112) if self._is_hovered else self._color
            painter.setBrush(self._color.darker(115) if self.isDown() else hovered)
        else:
            painter.setBrush(text_color(self, self.shade))
        painter.drawRoundedRect(box, _RADIUS_PX, _RADIUS_PX)

    def paint_content(self, painter: QPainter, box: QRectF) -> None:
        """Paint the text, or the icon with its key."""
        color = self.content_color
        painter.setPen(color)
        if not self._icon:
            room = box.width() - _MARGIN_PX
            text = self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, int(room))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
            return
        icon = QRectF(0, 0, _ICON_PX, _ICON_PX)
        icon.moveCenter(box.center())
        key = self._key.replace("Shift+", "⇧")
        is_key_shown = 0 < len(key) <= _MOST_LETTERS
        if is_key_shown:
            icon.translate(-2 - 2 * len(key), -1)
        paint_icon(painter, self._icon, icon, color)
        if is_key_shown:
            font = self.font()
            font.setPointSizeF(max(6.0, font.pointSizeF() * _KEY_SIZE))
            painter.setFont(font)
            corner = box.adjusted(0, 0, -4, -1)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom
            painter.drawText(corner, flags, key)
