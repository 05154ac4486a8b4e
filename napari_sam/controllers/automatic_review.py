"""Connects the buttons and keys for reviewing automatic masks with their layer and the session."""

from collections import ChainMap
from collections.abc import Callable
from functools import partial

from napari_sam._qt.automatic_results_box import AutomaticResultsBox
from napari_sam.controllers.automatic_places import AutomaticPlaces
from napari_sam.controllers.context import WidgetContext
from napari_sam.layers.automatic_layer import AutomaticView
from napari_sam.session.connections import Connections
from napari_sam.session.objects.records import counted, covered_left_out


class AutomaticReviewController:
    """Accepts and rejects automatic masks, one by one or all of them, and flies to the next."""

    def __init__(self, context: WidgetContext, places: AutomaticPlaces) -> None:
        self._binding, self._session = context.binding, context.session
        self._places = places
        self._generator = context.session.automatic
        self._review = context.session.automatic_review
        self._messages = context.messages
        commands: dict[str, Callable[[], None]] = {
            "accept": lambda: self._decide(self._review.accept_current),
            "reject": lambda: self._decide(self._review.reject_current),
            "next": lambda: self._step(1),
            "previous": lambda: self._step(-1),
        }
        self._commands = commands
        shortcuts, objects = self._binding.shortcuts, self._binding.objects
        # While an object is in progress, it is what the dock accepts.
        layer_commands = commands | {
            "accept": lambda: self._or_object(commands["accept"], objects.accept),
            "undo": objects.undo,
            "redo": objects.redo,
        }
        # All other keys do on this layer what they do on the prompt layers.
        all_commands = ChainMap(layer_commands, shortcuts.commands)
        self.view = AutomaticView(context.viewer, shortcuts, all_commands)
        """Shows the masks in a layer."""
        without_masks = {**shortcuts.commands, "reject": self._explain_reject}
        reviewing = {
            command: partial(self._or_review, commands[command], without_masks[command])
            for command in ("reject", "next", "previous")
        }
        shortcuts.register({**reviewing, "accept": partial(self._accept_or_hint, objects.accept)})
        self._connections = Connections(
            (self._review.writer.added, self._on_added),
            (self._binding.target.changed, self._review.follow_target),
        )
        self._review.follow_target()

    def connect(self, box: AutomaticResultsBox) -> None:
        """Do what the buttons of a box are for."""
        for command in ("reject", "next", "previous"):
            getattr(box, command).clicked.connect(self._commands[command])
        box.show_all.clicked.connect(self._review.show_all)
        box.restore_last.triggered.connect(self._restore_last_rejected)
        box.restore_all.triggered.connect(self._restore_rejected)

    def close(self) -> None:
        """Stop; masks that were not accepted are left to the user as a layer."""
        self._connections.close()
        self.view.release()

    def accept(self) -> None:
        """Write the mask that is shown alone into the target, or else all masks on offer."""
        if self._review.current is None:
            self._review.accept_all()
        else:
            self._decide(self._review.accept_current)

    def accept_all(self) -> None:
        """Write all masks on offer into the target, also while one of them is shown alone."""
        if self._review.offer:
            self._review.accept_all()
        else:
            self._session.notifier.warn(
                "There are no automatic masks to accept here: find some, or go to their slice."
            )

    def _on_added(self, count: int, left_out: int, class_name: str | None) -> None:
        of_class = "" if class_name is None else f" with class '{class_name}'"
        more = f"; {covered_left_out(left_out)}" if left_out else ""
        self._messages.info(f"{counted(count)} added{of_class}{more}.")

    def _restore_last_rejected(self) -> None:
        self._places.go()
        self._review.restore_last_rejected()
        self.view.activate()

    def _restore_rejected(self) -> None:
        count = len(self._review.rejected)
        self._review.restore_rejected()
        masks = "1 rejected mask is" if count == 1 else f"{count:,} rejected masks are"
        self._messages.info(f"{masks} offered again.")

    def _or_object(self, action: Callable[[], None], on_object: Callable[[], None]) -> None:
        (on_object if self._session.state.has_object_in_progress else action)()

    @property
    def _is_on_offer(self) -> bool:
        """Whether a key of the prompt layers means automatic masks, not an object in progress."""
        return bool(self._review.hint) and not self._session.state.has_object_in_progress

    def _or_review(self, review: Callable[[], None], prompting: Callable[[], None]) -> None:
        """Do what a key of the prompt layers does; without an object there, review masks."""
        if self._is_on_offer:
            review()
        else:
            prompting()

    def _accept_or_hint(self, accept_object: Callable[[], None]) -> None:
        """Accept an object or the mask that is shown alone.

        A key that is pressed once too often must not accept anything that the user has not seen.
        """
        if not self._is_on_offer:
            accept_object()
        elif self._review.current is not None:
            self._decide(self._review.accept_current)
        else:
            self._session.notifier.warn(f"{self._review.hint} Or press {self._review.offer}.")

    def _explain_reject(self) -> None:
        """Say why there is nothing to reject."""
        if self._session.state.has_object_in_progress:
            message = "Only automatic masks are rejected: press Clear to start this object again."
        else:
            message = "There are no automatic masks to reject here: run Automatic first."
        self._session.notifier.warn(message)

    def _decide(self, decide: Callable[[], None]) -> None:
        if self._review.current is None:
            self._step(1)
            return
        decide()
        self._fly()
        if not self._review.summary:  # it was the last one
            self.view.deactivate()

    def _step(self, step: int) -> None:
        self._places.go()
        self._review.step(step)
        self._fly()
        self.view.activate()

    def _fly(self) -> None:
        current, picture = self._review.current, self._generator.picture
        if current is not None and picture is not None:
            self.view.fly_to(current, picture.step)
