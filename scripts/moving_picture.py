"""The moving picture of the README: three objects in a minute, with the pointer and the keys."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pictured_window import Point, Window
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from napari_sam.model import Predictor

WIDTH_PX: Final = 1000
QUALITY: Final = 60
POINTER: Final = ((0, 0), (0, 24), (6, 19), (10, 28), (14, 26), (10, 17), (18, 17))
LONG_MS, SHORT_MS = 1800, 900
FONT: Final = ImageFont.load_default(26)


class Film:
    """Pictures of a window, one after the other."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._frames: list[Image.Image] = []
        self._times_ms: list[int] = []
        self.pointer: Point = 100, 30

    def shoot(self, caption: str, time_ms: int = LONG_MS) -> None:
        """Add a picture with the pointer and what is done."""
        picture = self._window.picture()
        draw = ImageDraw.Draw(picture)
        left, top = self._window.place(*self.pointer)
        outline = [(left + x, top + y) for x, y in POINTER]
        draw.polygon(outline, fill="white", outline="black", width=2)
        if caption:
            x0, _, x1, y1 = draw.textbbox((0, 0), caption, FONT)
            middle, bottom = self._window.canvas_foot()
            corner = middle - (x1 - x0) // 2, bottom - 64
            box = corner[0] - 18, corner[1] - 12, corner[0] + x1 + 18, corner[1] + y1 + 14
            draw.rounded_rectangle(box, 10, fill="#262930", outline="#f0c419", width=2)
            draw.text(corner, caption, fill="white", font=FONT)
        height = round(picture.height * WIDTH_PX / picture.width)
        self._frames.append(picture.resize((WIDTH_PX, height), Image.Resampling.LANCZOS))
        self._times_ms.append(time_ms)

    def click(self, x: float, y: float, caption: str) -> None:
        """Go there, and click."""
        self.pointer = x, y
        self.shoot("", SHORT_MS)
        self._window.click(x, y)
        self.shoot(caption)

    def save(self, path: Path) -> None:
        """Write an animated WebP file."""
        first, *others = self._frames
        first.save(
            path,
            save_all=True,
            append_images=others,
            duration=self._times_ms,
            loop=0,
            quality=QUALITY,
            method=6,
        )


def one_minute(predictor: Predictor, path: Path) -> None:
    """Segment three coins, and write the film of it."""
    window = Window(predictor, lambda viewer: viewer.add_image(data.coins(), name="coins"))
    film = Film(window)
    film.click(211, 192, "Click: three masks")
    for _ in range(2):
        window.next_mask()
        film.shoot("W: the next mask")
    window.next_mask()
    film.shoot("W", SHORT_MS)
    window.accept()
    film.shoot("C: accept")
    film.click(104, 68, "Click on the next one")
    window.accept()
    film.shoot("C", SHORT_MS)
    film.pointer = 379, 221
    window.box(312, 153, 379, 221)
    film.shoot("R: or draw a box")
    window.accept()
    film.shoot("Three objects, in the table and in a Labels layer", 2 * LONG_MS)
    film.save(path)
    window.close()
