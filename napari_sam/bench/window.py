"""Measurements in a real window: repainting, and previews under the mouse."""

import os
import sys
import time
from statistics import median

from napari_sam.bench.process import options_of_process, report

WINDOW_SIZE = 1400, 900
HOVER_S = 4
REPAINTS = 30


def has_display() -> bool:
    """Return whether a visible window can be opened."""
    if os.environ.get("QT_QPA_PLATFORM", "") in ("offscreen", "minimal"):
        return False
    on_linux = sys.platform.startswith("linux")
    return not on_linux or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def main() -> None:
    """Open a window, measure, close it; report seconds and previews per second."""
    import napari

    from napari_sam._sample_data import retina
    from napari_sam.bench.instruments import TIMEOUT_S, Screen, previews_per_second
    from napari_sam.session.embedding.phase import Phase
    from napari_sam.widget import SamWidget

    options = options_of_process()
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    for image, options_of_layer, _ in retina():
        viewer.add_image(image, **options_of_layer)
    widget = SamWidget(viewer, load_predictor=lambda *_: options.load()[1])
    viewer.window.add_dock_widget(widget, name="Click to segment")
    screen = Screen(viewer)
    widget.wait_until_idle(TIMEOUT_S)
    if widget.session.state.phase is not Phase.READY:
        raise SystemExit(widget.session.state.hint)
    times_s = []
    for _ in range(REPAINTS):
        start_s = time.perf_counter()
        screen.repaint()
        times_s.append(time.perf_counter() - start_s)
    previews = previews_per_second(widget, screen, HOVER_S)
    widget.close()
    viewer.close()
    report({"repaint_s": median(times_s), "previews_per_s": previews})


if __name__ == "__main__":
    main()
