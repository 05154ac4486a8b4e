"""Which model to run on what: the person's wishes, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from napari_sam.model import Predictor

AUTO: Final = "auto"


@dataclass(frozen=True)
class ModelChoice:
    """A model, and what it shall run on.

    Parameters
    ----------
    name : str
        What messages call it.
    checkpoint : Path, optional
        Its file, or folder; None: the weights inside the package.
    device : str
        A torch device, or "auto" for the fastest there is.
    exact : bool, optional
        Whether to compute in float32. None leaves it to the device: a processor computes
        exactly, an accelerator in its fastest precision.
    """

    name: str = "mobile_sam"
    checkpoint: Path | None = None
    device: str = AUTO
    exact: bool | None = None

    def lighter(self, runtime: Runtime) -> ModelChoice | None:
        """Return what to try when `runtime` has not enough memory; None if nothing is left.

        The lower precision comes first, then the processor.
        """
        if runtime.device == "cpu":
            return None
        if runtime.precision != runtime.fastest_precision:
            return replace(self, device=runtime.device, exact=False)
        return replace(self, device="cpu", exact=None)


@dataclass(frozen=True)
class Runtime:
    """What a model runs on.

    Parameters
    ----------
    device, precision : str
        As `Predictor` takes them.
    fastest_precision : str
        The precision in which the device is fastest.
    devices : tuple of str
        All that there are here.
    """

    device: str
    precision: str
    fastest_precision: str
    devices: tuple[str, ...]

    def __str__(self) -> str:
        return self.device if self.precision == "float32" else f"{self.device}, {self.precision}"


def find_runtime(choice: ModelChoice) -> Runtime:
    """Turn wishes into a device and a precision; imports torch, so not for the GUI thread."""
    from napari_sam.model.devices import available_devices, fastest_precision, resolve

    device, precision = resolve(choice.device, choice.exact)
    return Runtime(device, precision, fastest_precision(device), available_devices())


def load_predictor(choice: ModelChoice, runtime: Runtime) -> Predictor:
    """Load the weights of a model; imports torch, so not for the GUI thread.

    Parameters
    ----------
    choice : ModelChoice
        The weights.
    runtime : Runtime
        Where to, from `find_runtime`.

    Raises
    ------
    CheckpointError
        If the file cannot be used.
    ValueError
        If the device cannot be used.
    """
    from napari_sam.model import Predictor, load_model

    return Predictor(load_model(checkpoint=choice.checkpoint), runtime.device, runtime.precision)
