"""What automatic masks of remaining objects have in common with the objects there are."""

from qtpy.QtWidgets import QWidget

from napari_sam._qt.building import check_box, fill, row


class AutomaticMatchingRow(QWidget):
    """Whether size and brightness have to be similar."""

    def __init__(self) -> None:
        super().__init__()
        self.size_box = check_box(
            "similar size",
            "Remaining finds only masks from half the size of the target's smallest object to "
            "twice that of its largest",
            checked=True,
        )
        self.brightness_box = check_box(
            "similar brightness",
            "Remaining finds only masks about as bright inside as the target's objects",
            checked=True,
        )
        fill(self, row(self.size_box, self.brightness_box))
