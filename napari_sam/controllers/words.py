"""Connects the line for words with the session, the layer of boxes, and the batch prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from napari.layers import Layer

from napari_sam._qt.building import rest_timer
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.words_row import WordsRow
from napari_sam.catalogue.detectors import DETECTORS, PublishedDetector
from napari_sam.controllers.batch_prompts import BatchPromptsController
from napari_sam.controllers.context import WidgetContext
from napari_sam.layers.viewer_layers import ViewerLayers
from napari_sam.layers.word_boxes import WordBoxes
from napari_sam.session.connections import Connections
from napari_sam.session.words.run import DetectorPlace
from napari_sam.session.words.search import words_in

_FEW: Final = 100
"""So many boxes follow the slider at once; more of them when it rests for a moment."""
_REST_MS: Final = 60


class WordsController:
    """Fulfils the requests of a `WordsRow`, which is built when the *Batch* tab is first shown."""

    def __init__(self, context: WidgetContext, batch_prompts: BatchPromptsController) -> None:
        self._session, self._plane = context.session, context.binding.plane
        self._messages, self._batch_prompts = context.messages, batch_prompts
        self._boxes = WordBoxes(ViewerLayers(context.viewer.layers))
        self._rest = rest_timer(context.widget, _REST_MS, self._show_boxes)
        self._folder: Path | None = None
        self._row = OnDemand(lambda: WordsRow([(one.name, _about(one)) for one in DETECTORS]))
        self._row.when_built(batch_prompts.add_source)
        self._row.when_built(self._connect)
        self._connections = Connections((batch_prompts.tab.toggled, self._on_tab_toggled))

    @property
    def row(self) -> WordsRow:
        """The line for words."""
        return self._row.get()

    def close(self) -> None:
        """Disconnect from the session."""
        self._rest.stop()
        self._connections.close()

    def offer(self, layers: Sequence[Layer]) -> None:
        """Handle that layers came or went: without its layer, what was found is forgotten."""
        layer = self._boxes.layer
        if layer is not None and not any(layer is other for other in layers):
            self._boxes.forget()
            self._session.words.discard()

    def find(self, text: str) -> None:
        """Search what is in sight for the words of a text, in the background."""
        try:
            shown = self._plane.require()
            self._session.words.start(words_in(text), self._place)
        except ValueError as error:
            self._messages.warn(str(error))
            return
        self._boxes.begin(shown)

    def use_folder(self, path: Path) -> None:
        """Take the detector from a folder."""
        self._folder = path
        self.row.show_folder(path)

    @property
    def _place(self) -> DetectorPlace:
        """Where the chosen detector comes from."""
        index = self.row.detector
        if index < len(DETECTORS):
            return DetectorPlace(DETECTORS[index].repository, DETECTORS[index].revision)
        return DetectorPlace(str(self._folder))

    def _on_tab_toggled(self, is_shown: bool) -> None:
        if is_shown:
            self._row.get()

    def _connect(self, row: WordsRow) -> None:
        words = self._session.words
        self._connections.close()
        self._connections = Connections(
            (row.find_requested, self.find),
            (row.stop_requested, words.stop),
            (row.threshold_requested, lambda percent: words.set_threshold(percent / 100)),
            (row.folder_chosen, self.use_folder),
            (words.changed, self._on_progress),
            (words.found, self._on_found),
            (words.finished, self._messages.info),
        )

    def _on_progress(self) -> None:
        self.row.show_progress(self._session.words.state)

    def _on_found(self) -> None:
        words = self._session.words
        self.row.show_threshold(words.threshold)
        if len(words.detections) > _FEW:
            self._rest.start()
        else:
            self._show_boxes()

    def _show_boxes(self) -> None:
        self._rest.stop()
        had_layer = self._boxes.layer is not None
        self._boxes.show(self._session.words.detections)
        if self._boxes.layer is not None and not had_layer:
            self._batch_prompts.take(self._boxes.layer)


def _about(detector: PublishedDetector) -> str:
    """Return what a tooltip says of a detector."""
    size = f", {detector.parameters / 1e6:.0f} M parameters" if detector.parameters else ""
    return f"{detector.good_for} ({detector.repository}{size}, {detector.license})"
