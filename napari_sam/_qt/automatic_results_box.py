"""The automatic masks on offer: how many there are, and what to do with them."""

from qtpy.QtWidgets import QWidget

from napari_sam._qt.building import ShortcutTexts, button, fill, row
from napari_sam._qt.eliding_label import ElidingLabel


class AutomaticResultsBox(QWidget):
    """Buttons that accept, reject and discard masks, show them one by one, or derive layers."""

    def __init__(self) -> None:
        super().__init__()
        self._elsewhere = ""
        self._has_masks = self._is_reviewing = self._is_running = self._can_start = False
        self.texts = ShortcutTexts()
        self.outcome, self.review = ElidingLabel(), ElidingLabel()
        self._build_review_buttons()
        self._build_layer_buttons()
        fill(
            self,
            self.outcome,
            row(self.accept_all, self.discard),
            row(self.previous, self.next, self.accept, self.reject),
            self.review,
            row(self.show_all, self.restore_rejected),
            row(self.boxes, self.edges, self.all_settings),
        )
        self.show_masks(0, 0, 0)
        self.show_review("")

    def _build_review_buttons(self) -> None:
        texts = self.texts
        self.accept_all = button("Accept all", "")
        texts.add(
            self.accept_all.setToolTip,
            "Add all masks that pass the filters to the target as objects",
            "undo",
            "one {} removes them all",
        )
        self.discard = button(
            "Discard",
            "Stop, and remove the masks that are not accepted yet; accepted ones are kept, even "
            "those still being written",
        )
        self.previous = button("◂", "")
        texts.add(self.previous.setToolTip, "Show the previous mask alone", "previous")
        self.next = button("▸", "")
        texts.add(self.next.setToolTip, "Show the next mask alone", "next")
        for arrow in (self.previous, self.next):
            arrow.setMaximumWidth(32)
        self.accept = button("", "Add this mask to the target as an object, and show the next")
        texts.add(self.accept.setText, "Accept", "accept")
        self.reject = button("", "Reject this mask, and show the next")
        texts.add(self.reject.setText, "Reject", "reject")
        self.show_all = button("Show all", "Show all masks again")
        self.restore_rejected = button("", "Offer the rejected masks again")

    def _build_layer_buttons(self) -> None:
        self.boxes = button(
            "Boxes",
            "Add a Shapes layer with the boxes of all shown masks, ranked by score "
            "(object proposals)",
        )
        self.edges = button(
            "Edges",
            "Detect edges as in the SAM paper (16 x 16 points, thinned edges of all masks) in a "
            "new Image layer. Large images are processed at reduced resolution",
        )

        self.all_settings = button(
            "Settings…", "Every published setting under its published name, in a window"
        )

    def show_plane(self, elsewhere: str, *, can_start: bool) -> None:
        """Show where the masks lie if not on the shown plane, else ""."""
        self._elsewhere, self._can_start = elsewhere, can_start
        self._enable()

    def show_running(self, is_running: bool, *, can_start: bool) -> None:
        """Enable what is possible during a run, or without one."""
        self._is_running, self._can_start = is_running, can_start
        self._enable()

    def show_masks(self, count: int, covered: int, rejected: int, remark: str = "") -> None:
        """Show how many masks are on offer, covered by others, and rejected."""
        self._has_masks = count > 0
        self.accept_all.setText(f"Accept all {count:,}" if count else "Accept all")
        text = "1 mask" if count == 1 else f"{count:,} masks"
        if covered:
            text += f", {covered:,} of them covered by others"
        if self._elsewhere:
            text += f". They belong to {self._elsewhere}: go there to accept them"
        self.outcome.show_text(f"{text}. {remark}" if remark else text)
        self.outcome.setVisible(count > 0 or bool(remark))
        self.restore_rejected.setText(f"Restore {rejected} rejected")
        self.restore_rejected.setVisible(rejected > 0)
        self._enable()

    def show_review(self, text: str) -> None:
        """Show which mask is shown alone; empty: none."""
        self.review.show_text(text)
        self.review.setVisible(bool(text))
        self.show_all.setVisible(bool(text))
        self._is_reviewing = bool(text)
        self._enable()

    def _enable(self) -> None:
        can_accept = self._has_masks and not self._elsewhere
        for widget in (self.accept_all, self.previous, self.next):
            widget.setEnabled(can_accept)
        for widget in (self.accept, self.reject):
            widget.setEnabled(can_accept and self._is_reviewing)
        self.discard.setEnabled(self._has_masks or self._is_running)
        self.boxes.setEnabled(self._has_masks)
        self.edges.setEnabled(self._can_start)
