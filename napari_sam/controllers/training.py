"""Fine-tunes a model on labeled images in the background, and offers what comes of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.tool_window import ToolWindow
from napari_sam._qt.training_curves import CurvePoint
from napari_sam._qt.training_panel import TrainingPanel, TrainingRequest
from napari_sam._qt.training_process import TrainingProcess
from napari_sam.catalogue.table import display_name, find_model
from napari_sam.controllers.context import WidgetContext
from napari_sam.session.connections import Connections
from napari_sam.session.models.model_choice import ModelChoice


class TrainingController:
    """Trains what a `TrainingPanel` asks for; `offer` lists the new checkpoint."""

    def __init__(self, context: WidgetContext, offer: Callable[[Path], object]) -> None:
        self._session, self._plane = context.session, context.binding.plane
        self._messages, self._offer = context.messages, offer
        self.on_demand = OnDemand(TrainingPanel)
        """The panel, built when it is first needed."""
        self.window = ToolWindow(self.on_demand, context.widget)
        self._process = TrainingProcess(context.widget)
        self._process.reported.connect(self._on_event)
        self._process.ended.connect(self._on_ended)
        self._points: list[CurvePoint] = []
        self._result: dict[str, Any] = {}  # what the command printed in the end
        self.on_demand.when_built(self._connect)
        self._connections = Connections((context.session.changed, lambda _: self._show_base()))

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being trained."""
        return not self._process.is_running

    def close(self) -> None:
        """Stop a training; the same one goes on from its last finished epoch."""
        self._connections.close()
        self._process.close()
        self.window.close()

    def _connect(self, panel: TrainingPanel) -> None:
        panel.start_requested.connect(self._start)
        panel.stop_requested.connect(self._process.stop)
        self._show_base()
        image = self._plane.image
        path = None if image is None else image.source.path
        if path is not None and "://" not in str(path):
            folder = Path(str(path)).absolute().parent
            labels = folder / "labels"
            panel.suggest(str(folder), str(labels if labels.is_dir() else folder))

    def _show_base(self) -> None:
        panel = self.on_demand.built
        if panel is not None:
            panel.show_base(display_name(self._session.state.active_model.name))

    def _start(self, request: TrainingRequest) -> None:
        self._points, self._result = [], {}
        panel = self.on_demand.get()
        panel.show_points([])
        panel.show_running(True)
        self._process.start(_arguments(request, self._session.state.active_model))

    def _on_event(self, event: dict[str, Any]) -> None:
        panel = self.on_demand.get()
        if "step" in event:
            panel.show_step(str(event["step"]), float(event["share"]))
        elif "epoch" in event:
            self._points.append(_point(event["epoch"]))
            panel.show_points(self._points)
        else:
            self._result = event

    def _on_ended(self, is_successful: bool, message: str) -> None:
        panel = self.on_demand.get()
        is_stopped = not is_successful and not message
        panel.show_running(False, "Resume" if is_stopped else "Start")
        written = self._result.get("checkpoint")
        if is_stopped:
            message = "Stopped. Resume goes on after the last finished epoch."
        elif written:
            self._offer(Path(written))
            message = f"{self._gain} {Path(written).name} is in the list of models now."
            self._messages.info(message)
        else:
            if self._result:
                refusal = self._result["refusal"]
                message = f"Nothing was written: on the validation images, {refusal}"
            self._messages.fail(message)
        panel.outcome.setText(message)

    @property
    def _gain(self) -> str:
        """What came of a training, in words."""
        before, best = (self._result["epochs"][n] for n in (0, self._result["best_epoch"]))
        ious = (f"{epoch['one_click_iou']:.3f}" for epoch in (before, best))
        return f"IoU after one click {' to '.join(ious)}, on images kept apart."


def _arguments(request: TrainingRequest, base: ModelChoice) -> list[str]:
    """Return what follows `napari-sam train`."""
    arguments = [
        *(request.images, request.labels, "--output", request.checkpoint),
        *("--epochs", str(request.epochs)),
        *("--objects-per-epoch", str(request.objects_per_epoch)),
        *("--adapters", str(request.adapters), "--device", base.device),
    ]
    if base.checkpoint is not None:
        arguments += ["--model", _name_of(base)]
    return [*arguments, "--overwrite"] if request.overwrite else arguments


def _name_of(base: ModelChoice) -> str:
    """Return the name of a published model, so that its card has the license; or else its file."""
    try:
        return find_model(base.name).name
    except ValueError:
        return str(base.checkpoint)


def _point(epoch: dict[str, Any]) -> CurvePoint:
    losses = epoch["mask_loss"], epoch["score_loss"]
    loss = None if None in losses else sum(losses)
    return CurvePoint(epoch["number"], epoch["one_click_iou"], epoch["box_iou"], loss)
