"""Connects the buttons and keys for reviewing automatic masks with their layer and the session."""

from collections.abc import Callable
from functools import partial

from napari_sam._qt.automatic_results_box import AutomaticResultsBox
from napari_sam.controllers.context import WidgetContext
from napari_sam.layers.automatic_layer import AutomaticView
from napari_sam.session.connections import Connections
from napari_sam.session.objects.records import counted, covered_left_out


class AutomaticReviewController:
    """Accepts and rejects automatic masks, one by one or all of them, and flies to the next."""

    def __init__(self, context: WidgetContext, box: AutomaticResultsBox) -> None:
        self._binding, self._session = context.binding, context.session
        self._generator = context.session.automatic
        self._review = context.session.automatic_review
        self._messages = context.messages
        commands: dict[str, Callable[[], None]] = {
            "reject": lambda: self._decide(self._review.reject_current),
            "next": lambda: self._step(1),
            "previous": lambda: self._step(-1),
        }
        for command, action in commands.items():
            getattr(box, command).clicked.connect(action)
        commands["accept"] = lambda: self._decide(self._review.accept_current)
        shortcuts, objects = self._binding.shortcuts, self._binding.objects
        # While an object is in progress, it is what the dock accepts.
        layer_commands = commands | {
            "accept": lambda: self._or_object(commands["accept"], objects.accept),
            "undo": objects.undo,
            "redo": objects.redo,
        }
        self.view = AutomaticView(context.viewer, shortcuts, layer_commands)
        """Shows the masks in a layer."""
        prompting = {
            command: partial(self._or_hint, action, shortcuts.commands.get(command))
            for command, action in commands.items()
        }
        shortcuts.register(prompting)
        self._connections = Connections(
            (box.show_all.clicked, self._review.show_all),
            (box.restore_rejected.clicked, self._review.restore_rejected),
            (self._review.writer.added, self._on_added),
            (self._binding.target.changed, self._review.follow_target),
        )
        self._review.follow_target()

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

    def _on_added(self, count: int, left_out: int) -> None:
        more = f"; {covered_left_out(left_out)}" if left_out else ""
        self._messages.info(f"{counted(count)} added{more}.")

    def _or_object(self, action: Callable[[], None], on_object: Callable[[], None]) -> None:
        (on_object if self._session.state.has_object_in_progress else action)()

    def _or_hint(self, review: Callable[[], None], prompting: Callable[[], None] | None) -> None:
        """Do what a key of the prompt layers does; without an object there, review masks.

        That is begun in the tab: a key that is pressed once too often must not change anything.
        """
        hint = "" if self._session.state.has_object_in_progress else self._review.hint
        if hint and self._review.current is not None:
            review()
        elif hint:
            self._session.notifier.warn(hint)
        elif prompting is not None:
            prompting()

    def _decide(self, decide: Callable[[], None]) -> None:
        if self._review.current is None:
            self._step(1)
        else:
            decide()
            self._fly()

    def _step(self, step: int) -> None:
        self._review.step(step)
        self._fly()
        self.view.activate()

    def _fly(self) -> None:
        current, picture = self._review.current, self._generator.picture
        if current is not None and picture is not None:
            self.view.fly_to(current, picture.step)
