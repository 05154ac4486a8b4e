"""The candidates to choose from, as small pictures with their scores."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPainterPath, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QStackedLayout, QVBoxLayout, QWidget

from napari_sam._qt.building import ShortcutTexts, follow_each_other
from napari_sam._qt.colors import text_color
from napari_sam._qt.first_run_strip import FirstRunStrip
from napari_sam._qt.flat_button import FlatButton
from napari_sam._qt.painted_labels import PaintedLabel
from napari_sam._qt.value_slider import ValueSlider
from napari_sam.session.decoding.candidates import Candidates
from napari_sam.session.state import SessionState

PICTURE_SIZE_PX: Final = (66, 104)
"""Height and width of a picture at its smallest."""
_LOW_PX: Final = 42
"""The height of a picture where there is little room."""
_SCORE_PX: Final = 18
_WIDEST_PX: Final = 168
_FRAME_PX: Final = 2
_STAR_PX: Final = 9.0
_FAINT: Final = 0.3
_LEVELS: Final = 100
_LEVEL_TOOLTIP: Final = (
    "Grow or shrink the shown mask: the level of the model's logits at which it is cut.\n"
    "Over the image, Shift and the mouse wheel do the same.\n"
    "Double-click, or click on the number, to go back to 0: the mask as the model gave it."
)


_LEARNED_TOOLTIP: Final = "Learned from the objects you accepted.\n"


def _star(x: float, y: float) -> QPainterPath:
    """Return a star with five points around a place."""
    angles = [math.pi * (n / 5 - 0.5) for n in range(10)]
    radii = [_STAR_PX * (0.75 if n % 2 == 0 else 0.32) for n in range(10)]
    path = QPainterPath()
    path.addPolygon(
        QPolygonF(
            [
                QPointF(x + radius * math.cos(angle), y + radius * math.sin(angle))
                for angle, radius in zip(angles, radii, strict=True)
            ]
        )
    )
    path.closeSubpath()
    return path


def _signed(value: int) -> str:
    return f"{value:+d}" if value else "0"


class MaskButton(FlatButton):
    """The picture of a candidate above its score, framed in its color if it is the chosen one."""

    def __init__(self, number: int, color: str) -> None:
        self.number, self._frame_color = number, QColor(color)
        super().__init__("", color=QColor(color), checkable=True)
        self.is_learned = False
        """Whether a star marks it."""
        self._picture: QPixmap | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMaximumWidth(_WIDEST_PX)
        self.set_low(False)

    def sizeHint(self) -> QSize:
        """Have room for a picture."""
        return QSize(PICTURE_SIZE_PX[1], self.minimumHeight())

    @property
    def spoken_name(self) -> str:
        """Which mask it is, and its score."""
        name = f"Mask {self.number + 1}"
        return f"{name}, score {self.text()}" if self.text() else name

    def set_low(self, is_low: bool) -> None:
        """Have a low picture, or one of the usual height."""
        picture_px = _LOW_PX if is_low else PICTURE_SIZE_PX[0]
        self.setFixedHeight(picture_px + self._score_px + 2 * _FRAME_PX)

    @property
    def _score_px(self) -> int:
        return max(_SCORE_PX, int(self.fontMetrics().height()))

    def show_picture(self, pixels: NDArray[np.uint8] | None) -> None:
        """Show (H, W, 3) pixels, or none."""
        if pixels is None:
            if self._picture is None:
                return
            self._picture = None
        else:
            height, width = pixels.shape[:2]
            form = QImage.Format.Format_RGB888
            image = QImage(np.ascontiguousarray(pixels).data, width, height, 3 * width, form)
            self._picture = QPixmap.fromImage(image)
        self.update()

    def paint_background(self, painter: QPainter, box: QRectF) -> None:
        """Paint the picture, or an empty place for it, and the frame."""
        area = box.adjusted(_FRAME_PX, _FRAME_PX, -_FRAME_PX, -_FRAME_PX - self._score_px)
        clip = QPainterPath()
        clip.addRoundedRect(area, 3, 3)
        painter.fillPath(clip, text_color(self, self.shade if self.isEnabled() else 0.05))
        if self._picture is not None:
            painter.save()
            painter.setClipPath(clip)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(area, self._picture, self._covering(area))
            painter.restore()
            if self.is_learned:
                painter.setPen(QPen(Qt.GlobalColor.black, 1))
                painter.setBrush(Qt.GlobalColor.white)
                painter.drawPath(_star(area.right() - _STAR_PX, area.top() + _STAR_PX))
        if self.isChecked():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(self._frame_color, _FRAME_PX))
            painter.drawRoundedRect(area.adjusted(-1, -1, 1, 1), 4, 4)

    def _covering(self, area: QRectF) -> QRectF:
        """Return the middle of the picture that has the proportions of an area."""
        assert self._picture is not None
        picture = QRectF(self._picture.rect())
        part = QRectF(0, 0, area.width(), area.height())
        scale = min(picture.width() / area.width(), picture.height() / area.height())
        part.setSize(part.size() * scale)
        part.moveCenter(picture.center())
        return part

    def paint_content(self, painter: QPainter, box: QRectF) -> None:
        """Paint the score below, or the number of the mask to come in the middle."""
        is_empty = self._picture is None and not self.text()
        painter.setPen(text_color(self, _FAINT if is_empty else 1.0))
        if is_empty:
            area = box.adjusted(0, 0, 0, -self._score_px)
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, str(self.number + 1))
            return
        font = self.font()
        font.setBold(self.isChecked())
        painter.setFont(font)
        score_px = self._score_px
        below = QRectF(box.left(), box.bottom() - score_px, box.width(), score_px)
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self.text())


class MaskPanel(QWidget):
    """A picture for each candidate, in the model's order, and why one is preselected."""

    candidate_requested = Signal(int)
    level_requested = Signal(float)
    """How much larger or smaller the mask is to be, -1 to 1."""

    def __init__(self, colors: tuple[str, ...]) -> None:
        super().__init__()
        self.texts = ShortcutTexts()
        self._key = ""
        self.texts.add_key(self._set_key, "next")
        self._colors = colors
        self.first_run = FirstRunStrip()
        self.level = ValueSlider(
            _LEVEL_TOOLTIP, low=-_LEVELS, high=_LEVELS, text=_signed, title="Level"
        )
        """Grows and shrinks the shown mask."""
        self.level.value_requested.connect(lambda value: self.level_requested.emit(value / _LEVELS))
        self._buttons: list[MaskButton] = []
        masks = QWidget()
        self._row = QHBoxLayout(masks)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        self._row.addStretch(0)
        # In one place: the steps of a first run make room for the masks and the other way round.
        self._places = QStackedLayout()
        self._places.setSizeConstraint(QStackedLayout.SizeConstraint.SetNoConstraint)
        self._reason = PaintedLabel(opacity=0.8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(self._places)
        for widget in (masks, self.first_run):  # shown at once, so not before it has a parent
            self._places.addWidget(widget)
        layout.addWidget(self._reason)
        layout.addWidget(self.level)
        self.is_first_run = self._is_low = False
        """Whether the steps are shown while there are no masks."""
        self._shown: tuple[Candidates | None, int | None, int] | None = None
        self._usual_count = self._most = 0
        self.show_state(SessionState())

    @property
    def colors(self) -> tuple[str, ...]:
        """The color of each candidate, as many as there are buttons."""
        return tuple(self._colors[n % len(self._colors)] for n in range(len(self._buttons)))

    def _set_key(self, key: str) -> None:
        self._key = key
        self._shown = None

    def show_state(self, state: SessionState) -> None:
        """Show the candidates and the chosen one."""
        candidates, count = state.candidates, self._count(state)
        self.level.set_enabled(candidates is not None)
        self.level.show_value(round(state.level * _LEVELS))
        if self._shown == (candidates, state.chosen, count):  # candidates compare by identity
            return
        is_other = self._shown is None or self._shown[0] is not candidates
        self._shown = candidates, state.chosen, count
        self._set_count(count)
        scores = () if candidates is None else candidates.iou_predictions
        for number, button in enumerate(self._buttons):
            has_mask = number < len(scores)
            button.setText(f"{min(scores[number], 1):.2f}" if has_mask else "")
            button.setEnabled(has_mask)
            button.setChecked(number == state.chosen)
            button.setToolTip(self._tooltip(candidates, number))
            button.is_learned = candidates is not None and number == candidates.learnt
            if is_other and candidates is None:
                button.show_picture(None)
        self._show_reason(state)
        self._show_place()

    def _count(self, state: SessionState) -> int:
        """Return how many masks there is room for; a learned one keeps its place in between."""
        usual = state.spec.candidate_count
        shown = 0 if state.candidates is None else len(state.candidates)
        if usual != self._usual_count:
            self._usual_count, self._most = usual, usual
        self._most = max(self._most, shown)
        return self._most

    def show_pictures(self, candidates: Candidates, pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Show the pictures of these candidates, if they are still the ones to choose from."""
        if self._shown is not None and self._shown[0] is candidates:
            for button, picture in zip(self._buttons, pictures, strict=False):
                button.show_picture(picture)

    def set_low(self, is_low: bool) -> None:
        """Have low pictures, or pictures of the usual height."""
        self._is_low = is_low
        for button in self._buttons:
            button.set_low(is_low)
        # Qt leaves a page that is not on top alone: the panel would only grow with the first mask.
        self._row.invalidate()
        self._row.parentWidget().updateGeometry()
        self._places.invalidate()
        self.updateGeometry()

    def show_first_run(self, is_on: bool) -> None:
        """Show the steps of a first run while there are no masks, or never again."""
        self.is_first_run = is_on
        self._show_place()

    def _show_place(self) -> None:
        has_masks = self._shown is not None and self._shown[0] is not None
        index = 1 if self.is_first_run and not has_masks else 0
        if index != self._places.currentIndex():
            self._places.setCurrentIndex(index)

    def _set_count(self, count: int) -> None:
        if len(self._buttons) == count:
            return
        for button in self._buttons:
            button.setParent(None)
            button.deleteLater()
        self._buttons = []
        for number in range(count):
            button = MaskButton(number, self._colors[number % len(self._colors)])
            button.clicked.connect(lambda _, number=number: self._on_clicked(number))
            button.set_low(self._is_low)
            self._row.insertWidget(number, button, 1)
            self._buttons.append(button)
        follow_each_other(self.first_run.dismiss, *self._buttons, self.level.slider)

    def _show_reason(self, state: SessionState) -> None:
        candidates, chosen = state.candidates, state.chosen
        if candidates is None or candidates.ranking is None or chosen is None:
            self._reason.set_text("")
            return
        best = f"Mask {candidates.best + 1}: {candidates.ranking.reason}"
        if chosen == candidates.best:
            text = best
        elif chosen == state.reedited_choice:
            text = f"Mask {chosen + 1}: the mask you accepted before"
        else:
            text = f"Mask {chosen + 1}: your choice"
        self._reason.set_text(text, f"Preselected: {best}")

    def _tooltip(self, candidates: Candidates | None, number: int) -> str:
        """Return what the candidate of a number is ranked by."""
        more = f" ({self._key} shows the next mask)" if self._key else ""
        if candidates is None or candidates.ranking is None or number >= len(candidates):
            return f"Mask {number + 1}{more}"
        features = candidates.ranking.features
        return (
            f"Mask {number + 1}: score {features.iou_predictions[number]:.2f}, "
            f"stability {features.stability_score[number]:.2f}, "
            f"about {candidates.masks[number].area_px:,.0f} pixels{more}\n"
            f"{_LEARNED_TOOLTIP if number == candidates.learnt else ''}"
            "The score says how well the mask fits, as the model estimates (predicted IoU)."
        )

    def _on_clicked(self, number: int) -> None:
        for button in self._buttons:  # until the session says so
            button.setChecked(button.number == number)
        self.candidate_requested.emit(number)
