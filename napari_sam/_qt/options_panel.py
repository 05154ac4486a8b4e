"""What is chosen rarely: where objects are written and prompts are read."""

from qtpy.QtWidgets import QWidget

from napari_sam._qt.building import check_box, combo_box, form, heading
from napari_sam._qt.layer_combo import LayerCombo
from napari_sam.session.objects.edits import Overlap


class OptionsPanel(QWidget):
    """The target and overlaps of objects, the layers of prompts, and how objects are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.target_combo = LayerCombo(
            "new labels layer", "The Labels layer that accepted objects are written to"
        )
        self.overlap_combo = combo_box(
            "Where a new mask overlaps existing objects, they keep their pixels,\nthey "
            "lose their pixels, or the mask is refused. Batches and automatic masks\nfollow it "
            "too; of two automatic masks, the smaller one is on top"
        )
        self.overlap_combo.addItems([str(overlap) for overlap in Overlap])
        tooltip = "Read prompts from your own {} layer, which is never changed"
        self.points_combo = LayerCombo("SAM points", tooltip.format("Points"))
        self.boxes_combo = LayerCombo("SAM boxes", tooltip.format("Shapes"))
        self.feedback = check_box(
            "refine the previous mask",
            "Each click corrects the shown mask instead of starting from scratch",
            checked=True,
        )
        self.coloring = check_box(
            "color by class",
            "Show the target's objects in the colors of their classes; gray without a class",
        )
        objects = ("write to", self.target_combo), ("overlaps", self.overlap_combo)
        prompts = ("points", self.points_combo), ("shapes", self.boxes_combo)
        form(
            (heading("Objects"),),
            *objects,
            (heading("Prompts"),),
            *prompts,
            (self.feedback,),
            (heading("Display"),),
            (self.coloring,),
            parent=self,
        )
