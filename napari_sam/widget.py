"""The dock widget: builds session, layer binding and controllers, and closes them."""

import atexit
import importlib
import threading
import warnings
from contextlib import suppress
from typing import Final
from weakref import WeakSet

from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import QEvent, QEventLoop
from qtpy.QtGui import QPaintEvent, QShowEvent
from qtpy.QtWidgets import QDockWidget, QOpenGLWidget, QVBoxLayout, QWidget

from napari_sam._distribution import DOCK_NAME, broken_qt_warning, old_distribution_warning
from napari_sam._qt.building import rest_timer
from napari_sam._qt.dispatcher import QtDispatcher
from napari_sam._qt.workarounds import (
    call_soon,
    claim_height,
    keep_tab_order,
    make_current,
    rest_with_deleted_canvas,
)
from napari_sam.controllers.assembly import Controllers
from napari_sam.controllers.context import WidgetContext
from napari_sam.controllers.messages import Messages
from napari_sam.controllers.preferences import Preferences
from napari_sam.layers import LayerBinding
from napari_sam.layers.layer_menu import offer_in_layer_menu
from napari_sam.layers.napari_workarounds import unwrapped
from napari_sam.session.embedding.embeddings import LoadPredictor
from napari_sam.session.jobs import run_until
from napari_sam.session.models.model_choice import ModelChoice, load_predictor
from napari_sam.session.session import AnnotationSession

_LAST_WRITE_S: Final = 10.0
"""How long closing the window waits for objects that are being written."""
_LAYOUT_MS: Final = 500
_FIRST_PAINT_S: Final = 2.0
"""How long the import of torch holds back for a window that is being built."""

# Of tracing a decoder, which is meant: see `napari_sam.model.sam.traced`. What is ignored there is
# heard of again if another thread leaves `catch_warnings` meanwhile, as napari's does while it
# builds the window. So it is ignored from before that, too.
warnings.filterwarnings(
    "ignore",
    r"(Converting|Iterating over) a tensor|Using len to get tensor shape",
    module=r"napari_sam\.model\.",
)

_OPEN: Final[WeakSet["SamWidget"]] = WeakSet()
"""The widgets that are not closed yet."""


class SamWidget(QWidget):
    """Click on an object in an image, compare the masks offered, keep one."""

    def __init__(
        self,
        napari_viewer: ViewerModel,
        load_predictor: LoadPredictor = load_predictor,
        model: ModelChoice | None = None,
    ) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        # Without a parent it outlives this widget's C++ side, which jobs may still post to.
        self._dispatcher = QtDispatcher()
        self._dispatcher.begin_turn(_FIRST_PAINT_S)
        preferences = Preferences.load()
        self._store = store = preferences.store()
        is_chosen = model is not None
        model = preferences.model if model is None else model
        self.session = session = AnnotationSession(load_predictor, self._dispatcher, model, store)
        session.prefetch.switch(preferences.prefetch)
        self.binding = LayerBinding(
            self._viewer, session, self._dispatcher.post, self._dispatcher.post_later
        )
        parts = self._dispatcher, store, session, self.binding, Messages(self), preferences
        self.controllers = Controllers(WidgetContext(self, self._viewer, *parts))
        self._is_closed = self._has_claimed_height = self._is_painted = False
        self._canvases: list[QOpenGLWidget] = []
        self._viewer.layers.events.removing.connect(self._before_removal)
        _OPEN.add(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.controllers.dock)
        # The C++ side may go without a close event, with the window. Qt would drop a connection to
        # a method of the very object that is destroyed, hence the lambda.
        self.destroyed.connect(lambda: self._shut_down())
        for warning in filter(None, (old_distribution_warning(), broken_qt_warning())):
            self.session.notifier.warn(warning)
        # napari's Points layers need it, and the first click should not wait for its import.
        threading.Thread(target=self._import_pandas, daemon=True).start()
        offer_in_layer_menu()
        self.binding.choose_image()
        if not is_chosen:
            self.controllers.models.open_with(preferences.published)
        self.session.embedding.preload()

    @staticmethod
    def open_in(viewer: ViewerModel) -> "SamWidget | None":
        """Return the widget that is open in a viewer, which is no proxy."""
        return next((widget for widget in _OPEN if widget._viewer is viewer), None)

    @classmethod
    def docked_in(
        cls,
        viewer: ViewerModel,
        load_predictor: LoadPredictor = load_predictor,
        model: ModelChoice | None = None,
    ) -> "SamWidget":
        """Open another widget in the window of a viewer, where its menu finds it."""
        widget = cls(viewer, load_predictor, model)
        viewer.window.add_dock_widget(widget, name=DOCK_NAME)
        return widget

    def annotate(self, image: Image) -> None:
        """Annotate an image layer of the viewer, as if it had been chosen at the top."""
        self.controllers.annotate.choose_image(image)

    def reveal(self) -> None:
        """Bring the dock on top of others, and back if it is hidden."""
        dock = self.parentWidget()
        if isinstance(dock, QDockWidget):
            dock.show()
            dock.raise_()

    def fit_view_once_laid_out(self) -> None:
        """Fit the whole image into the canvas, once the window with this widget is laid out.

        The widget takes some of the canvas; Qt settles how much only some rounds after showing.
        """
        rest_timer(self, _LAYOUT_MS, self._viewer.reset_view).start()

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for enough height below other docks, and for a quiet end of the canvas."""
        super().showEvent(event)
        self.controllers.follow_preferences()  # no event has told a dock that was behind another
        if not self._has_claimed_height:
            self._has_claimed_height = True
            rest_with_deleted_canvas(self.window())
            self._canvases = self.window().findChildren(QOpenGLWidget)
            self._claim_height_soon()
            dock = self.parentWidget()
            if isinstance(dock, QDockWidget):  # also where the user moves it
                dock.dockLocationChanged.connect(self._claim_height_soon)

    def _before_removal(self, _: object) -> None:
        make_current(self._canvases)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Begin what held back for the first paint."""
        super().paintEvent(event)
        if not self._is_painted:
            self._is_painted = True
            call_soon(self, self._begin)

    def _begin(self) -> None:
        """Let a first click on the image count, unless the user is at another layer."""
        self._dispatcher.end_turn()
        image = self.binding.plane.image
        is_selected = image is not None and self._viewer.layers.selection.active is image
        if is_selected and not self._is_closed:
            self.binding.prompts.start_points()

    def focusNextPrevChild(self, is_next: bool) -> bool:
        """Go on to the next part of the widget, even if it was built after others in the window."""
        keep_tab_order(self)
        return bool(super().focusNextPrevChild(is_next))

    def _import_pandas(self) -> None:
        self._dispatcher.let_owner_run()
        importlib.import_module("pandas")

    def _claim_height_soon(self) -> None:
        call_soon(self, self._claim_height)

    def _claim_height(self) -> None:
        if not self._is_closed:
            claim_height(self, self.controllers.dock.widget().minimumSizeHint().height())

    # Scripts and tests -----------------------------------------------------------------------

    def wait_until_idle(self, timeout_s: float) -> None:
        """Run the event loop until no job is pending and all results are on screen."""
        self._dispatcher.run_pending(0)
        parts = self.session, self.binding, self.controllers
        run_until(
            lambda: all(part.is_idle for part in parts), self._dispatcher, timeout_s, "widget"
        )
        # The canvas asks for its repaint in one round of the event loop and paints in the next.
        for _ in range(2):
            QEventLoop().processEvents()

    # The end -----------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Notice that the window is used again, or that napari takes the widget out of its dock.

        The user may come from napari's preferences. To listen to these, napari would have to read
        the manifests of all plugins first. Of a widget that is taken out, no close event tells.
        """
        if event.type() == QEvent.Type.WindowActivate and not self._is_closed:
            self.controllers.follow_preferences()
        elif event.type() == QEvent.Type.ParentChange and self.parent() is None:
            call_soon(self, self._shut_down_if_undocked)
        return bool(super().event(event))

    def closeEvent(self, event: QEvent) -> None:
        """Stop all work and let the viewer go."""
        self._shut_down()
        super().closeEvent(event)

    def _shut_down_if_undocked(self) -> None:
        if not self._is_closed and self.parent() is None and not self.isVisible():
            self._shut_down()

    def _shut_down(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        _OPEN.discard(self)
        # While everything still listens: labels, their features and the journal say the same.
        self.session.editing.executor.settle(_LAST_WRITE_S)
        self.controllers.close()
        self.binding.close()
        self.session.close()
        self._store.close()


@atexit.register
def _shut_down_all() -> None:
    """Shut down what a script leaves open when it ends.

    PyQt's own clean-up, which was registered earlier and so comes later, deletes the windows while
    it goes through a table of all Qt objects: nothing may make or drop any in the meantime.
    """
    for widget in list(_OPEN):
        with suppress(RuntimeError):  # its window is gone
            widget._shut_down()
