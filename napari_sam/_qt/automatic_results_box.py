"""The automatic masks on offer: their review, and what else can be done with them."""

from qtpy.QtWidgets import QMenu, QWidget

from napari_sam._qt.building import ShortcutTexts, button, fill, row


class AutomaticResultsBox(QWidget):
    """Buttons that show masks one by one, reject, discard and restore them, or derive layers.

    The dock's own *Accept* accepts them. All buttons are always visible, so that none moves.
    """

    def __init__(self, texts: ShortcutTexts) -> None:
        super().__init__()
        self._is_here = True
        self._has_masks = self._is_reviewing = self._is_running = self._can_start = False
        self._restorable = self._rejected = 0
        self.texts = texts
        self._build_review_buttons()
        self._build_run_buttons()
        arrows = row(self.previous, self.next)
        review = row(self.reject, self.show_all, self.restore_rejected)
        review.insertLayout(0, arrows)
        for place, stretch in enumerate((0, 9, 8, 11)):  # by the letters of each, or of a number
            review.setStretch(place, stretch)
        of_run = row(self.discard, self.restore, self.boxes, self.edges)
        of_run.setStretch(1, 2)  # with such a number, too
        fill(self, review, of_run)
        self.show_masks(0, 0)

    def _build_review_buttons(self) -> None:
        texts = self.texts
        self.previous = button("◂", "")
        texts.add(self.previous.setToolTip, "Show the previous mask alone", "previous")
        self.next = button("▸", "")
        texts.add(self.next.setToolTip, "Show the next mask alone", "next")
        for arrow in (self.previous, self.next):
            arrow.setFixedWidth(32)
        self.reject = button("", "Reject this mask, and show the next")
        texts.add(self.reject.setText, "Reject", "reject")
        self.show_all = button("Show all", "End the review, and show all masks again")
        self.restore_rejected = button("", "Offer rejected masks again: the last one, or all")
        menu = QMenu(self)
        self.restore_last = menu.addAction("The last one")
        self.restore_all = menu.addAction("All of them")
        self.restore_rejected.set_menu(menu)

    def _build_run_buttons(self) -> None:
        self.discard = button(
            "Discard",
            "Stop, and remove the masks that are not accepted yet; accepted ones are kept, even "
            "those still being written. Restore undoes it",
        )
        self.restore = button("", "")
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

    def show_plane(self, *, is_here: bool, can_start: bool) -> None:
        """Show whether the masks lie on the shown plane."""
        self._is_here, self._can_start = is_here, can_start
        self._enable()

    def show_running(self, is_running: bool, *, can_start: bool) -> None:
        """Enable what is possible during a run, or without one."""
        self._is_running, self._can_start = is_running, can_start
        self._enable()

    def show_masks(self, count: int, rejected: int, restorable: int = 0) -> None:
        """Show how many masks are on offer, were rejected, and can be restored."""
        self._has_masks, self._rejected, self._restorable = count > 0, rejected, restorable
        self.restore_rejected.setText(f"Bring back {rejected:,}" if rejected else "Bring back")
        self.restore.setText(f"Restore {restorable:,}" if restorable else "Restore")
        masks = "masks" if restorable != 1 else "mask"
        which = f"the {restorable:,} {masks}" if restorable else "the masks"
        self.restore.setToolTip(f"Offer {which} again that you discarded or replaced last")
        self._enable()

    def show_review(self, *, is_reviewing: bool) -> None:
        """Show whether a mask is shown alone."""
        self._is_reviewing = is_reviewing
        self._enable()

    def _enable(self) -> None:
        is_offered = self._has_masks and self._is_here
        for widget, can_be_pressed in (
            (self.previous, self._has_masks),  # wherever they lie: it goes there
            (self.next, self._has_masks),
            (self.reject, is_offered and self._is_reviewing),
            (self.show_all, self._is_reviewing),
            (self.restore_rejected, self._rejected > 0),
            (self.discard, self._has_masks or self._is_running),
            (self.restore, self._restorable > 0 and not self._is_running),
            (self.boxes, self._has_masks),
            (self.edges, self._can_start),
        ):
            widget.setEnabled(can_be_pressed)
