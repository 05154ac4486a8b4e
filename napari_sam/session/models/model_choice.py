"""Which model to run on what: the user's wishes, and what came of them."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_sam.engine.spec import SAM_SPEC, ModelSpec

if TYPE_CHECKING:
    from napari_sam.model import Predictor

AUTO: Final = "auto"


@dataclass(frozen=True)
class ModelChoice:
    """A model, and what it shall run on.

    Parameters
    ----------
    name : str
        What messages call it; two choices that differ in nothing else are the same.
    checkpoint : Path, optional
        Its file, or folder; None: the weights inside the package.
    device : str
        A torch device, or "auto" for the fastest there is.
    exact : bool, optional
        Whether to compute in float32. None leaves it to the device: a processor computes
        exactly, an accelerator in its fastest precision.
    version : tuple of int, optional
        Tells the content of the file from what it holds before or after; from `with_weights`.
    spec : ModelSpec
        Sizes that tiles are planned with before the model is loaded.
    """

    name: str = field(default="mobile_sam", compare=False)
    checkpoint: Path | None = None
    device: str = AUTO
    exact: bool | None = None
    version: tuple[int, int] | None = None
    spec: ModelSpec = SAM_SPEC

    def with_weights(self, name: str, checkpoint: Path | None) -> ModelChoice:
        """Return the choice of other weights, as their file is now, on the same device."""
        version = None
        if checkpoint is not None:
            with suppress(OSError):  # that it cannot be read, who loads it says better
                status = checkpoint.stat()
                version = status.st_size, status.st_mtime_ns
        return replace(self, name=name, checkpoint=checkpoint, version=version, spec=SAM_SPEC)

    @property
    def weights(self) -> Hashable:
        """The same for two choices of the same weights, whatever they run on."""
        return self.checkpoint, self.version

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
    """What a model runs on."""

    device: str  # as `Predictor` takes them
    precision: str  # as `Predictor` takes them
    fastest_precision: str  # the precision in which the device is fastest
    devices: tuple[str, ...]  # all that there are here

    def __str__(self) -> str:
        return self.device if self.precision == "float32" else f"{self.device}, {self.precision}"


def find_runtime(choice: ModelChoice) -> Runtime:
    """Turn wishes into a device and a precision; imports torch, so not for the GUI thread."""
    from napari_sam.model.runtime.devices import available_devices, fastest_precision, resolve

    device, precision = resolve(choice.device, choice.exact)
    return Runtime(device, precision, fastest_precision(device), available_devices())


def check_device(device: str) -> None:
    """Raise ValueError, with the devices there are, if a device is not here; imports torch."""
    from napari_sam.model.runtime.devices import available_devices

    known = (AUTO, *available_devices())
    if device.removesuffix(":0") not in {each.removesuffix(":0") for each in known}:
        raise ValueError(f"There is no device {device!r} here; choose one of {', '.join(known)}.")


def variant_of(choice: ModelChoice) -> str:
    """Return the variant of a model, without loading it; imports torch."""
    from napari_sam.model.build import DEFAULT_VARIANT, check_complete
    from napari_sam.model.checkpoints.state_dicts import read_checkpoint

    if choice.checkpoint is None:
        return DEFAULT_VARIANT
    return check_complete(read_checkpoint(choice.checkpoint, lazily=True), choice.checkpoint)


def check(choice: ModelChoice) -> None:
    """Find out whether a model can be loaded, at little cost; imports torch."""
    check_device(choice.device)
    variant_of(choice)


def load_predictor(choice: ModelChoice, runtime: Runtime) -> Predictor:
    """Load the weights of a model; imports torch, so not for the GUI thread."""
    from napari_sam.model import Predictor, load_model
    from napari_sam.model.runtime.devices import release_memory

    release_memory()  # of the model before
    return Predictor(load_model(checkpoint=choice.checkpoint), runtime.device, runtime.precision)
