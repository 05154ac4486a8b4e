"""Connects the switch for learning from accepted objects, and keeps what was learned by folder."""

from pathlib import Path
from typing import Final
from weakref import WeakSet

from napari.layers import Image

from napari_sam._qt.building import rest_timer
from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.options_panel import OptionsPanel
from napari_sam.controllers.context import WidgetContext
from napari_sam.layers.image_references import file_for
from napari_sam.session.connections import Connections
from napari_sam.session.jobs import user_message
from napari_sam.session.learning.learned_file import LearnedFile, read_learned, write_learned
from napari_sam.session.objects.records import counted
from napari_sam.session.state import SessionState
from napari_sam.storage.learned import forget_learned, load_learned, save_learned
from napari_sam.storage.options import load_options, save_options

_EXAMPLES: Final = "examples"
"""The key of the known examples, beside what was learned."""
_SAVE_MS: Final = 1000
"""How long nothing was learned until it is saved."""


class LearningController:
    """Shows what the session has learned; another image of a folder begins with that."""

    def __init__(self, context: WidgetContext, options: OnDemand[OptionsPanel]) -> None:
        self._learning, self._plane = context.session.learning, context.binding.plane
        self._options, self._messages = options, context.messages
        self._embedding = context.session.embedding
        self._examples = context.session.known_examples
        self._executor = context.session.background.executor("learned-files")
        self._folder: Path | None = None  # of the image
        self._folders: set[Path] = set()  # of all images so far
        self._told = WeakSet[Image]()  # where the user was told that masks are preselected
        self._timer = rest_timer(context.widget, _SAVE_MS, self._save)
        self._learning.switch(load_options().get("learn") is not False)
        options.when_built(self._connect)
        self._connections = Connections(
            (self._learning.changed, self._on_learned),
            (context.session.changed, self._tell),
            (self._examples.changed, self._on_examples),
            (context.binding.image_changed, self._follow_image),
            # The session forgets what another model taught, and does so first.
            (context.session.embedding.model_left, self._load),
        )
        self._follow_image()

    def close(self) -> None:
        """Save what was learned last."""
        self._connections.close()
        self._save_now()

    def _connect(self, panel: OptionsPanel) -> None:
        row = panel.learning
        row.use_names(self._suggested)
        row.learn.toggled.connect(self._on_toggled)
        row.forget_requested.connect(self._forget)
        row.save_requested.connect(self.save)
        row.open_requested.connect(self.open)
        self._show()

    def _show(self) -> None:
        panel, knowledge = self._options.built, self._learning.knowledge
        if panel is not None:
            is_any = knowledge.n_objects > 0 or bool(self._examples.current.like)
            panel.show_learned(self._learning.is_on, knowledge.summary, is_any=is_any)

    def _on_toggled(self, is_on: bool) -> None:
        self._learning.switch(is_on)
        save_options({"learn": is_on})

    def _on_learned(self) -> None:
        self._show()
        if self._folder is not None and self._learning.knowledge.n_here:
            self._timer.start()

    def _tell(self, state: SessionState) -> None:
        """Tell the user when a learned mask is preselected, once on each image."""
        image, shown = self._plane.image, state.candidates
        if image is None or shown is None or image in self._told:
            return
        if shown.learnt is not None and shown.best == shown.learnt:
            self._told.add(image)
            count = self._learning.knowledge.n_objects
            self._messages.note(f"Learned from {count} objects: masks with a star are preselected.")

    def _on_examples(self) -> None:
        self._show()
        if self._folder is not None and self._examples.current.like:
            self._timer.start()

    def _forget(self) -> None:
        self._learning.forget()
        self._examples.forget()
        self._told.clear()
        self._timer.stop()
        for folder in self._folders:
            forget_learned(folder)
        self._messages.info("Forgot what was learned. The next five objects teach anew.")

    # Files -------------------------------------------------------------------------------------

    def _suggested(self) -> str:
        image = self._plane.image
        return "" if image is None else file_for(image, image.name)

    def save(self, path: Path) -> None:
        """Write what was learned to a file, in the background."""
        image, lessons = self._plane.image, self._learning.to_json()
        name, choice = "" if image is None else image.name, self._embedding.embedder.choice

        def on_done(_: None) -> None:
            objects = counted(len(lessons["lessons"]))
            self._messages.info(f"Saved what was learned from {objects} to {path.name}.")

        self._executor.submit(
            lambda _: write_learned(path, lessons, choice, name), on_done, self._on_failed
        )

    def open(self, path: Path) -> None:
        """Begin with what a file holds, on this image and others of its folder."""
        choice = self._embedding.embedder.choice

        def on_done(read: LearnedFile) -> None:
            if self._embedding.embedder.choice != choice:
                self._messages.warn(f"Another model was chosen meanwhile: open {path.name} again.")
                return
            self._learning.keep(read.lessons)
            self._save()
            self._messages.info(
                f"Learned from {read.source}; preselected as soon as it does better here."
            )

        self._executor.submit(lambda _: read_learned(path, choice), on_done, self._on_failed)

    def _on_failed(self, error: BaseException) -> None:
        self._messages.fail(user_message(error, "Could not save or open what was learned"))

    # By folder ---------------------------------------------------------------------------------

    def _follow_image(self) -> None:
        """Know what was learned on other images of the folder."""
        image = self._plane.image
        path = None if image is None else image.source.path
        is_file = path is not None and "://" not in str(path)
        folder = Path(str(path)).absolute().parent if is_file else None
        if folder == self._folder:
            return
        self._save_now()
        self._folder = folder
        self._load()

    def _load(self) -> None:
        if self._folder is not None:
            self._folders.add(self._folder)
            content = load_learned(self._folder)
            self._learning.keep(content)
            self._examples.keep(content.get(_EXAMPLES))
            self._timer.stop()  # it is as it is saved

    def _save_now(self) -> None:
        """Save what waits for that."""
        if self._timer.isActive():
            self._timer.stop()
            self._save()

    def _save(self) -> None:
        content = self._learning.to_json()
        if examples := self._examples.to_json():
            content[_EXAMPLES] = examples
        if self._folder is not None and content:
            save_learned(self._folder, {**load_learned(self._folder), **content})
