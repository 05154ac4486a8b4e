"""Which model to run, and on which device."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_sam.catalogue.table import BUNDLED
from napari_sam.engine.spec import ModelSpec
from napari_sam.storage.decoder_files import find_decoder

if TYPE_CHECKING:
    from napari_sam.model import Predictor

AUTO: Final = "auto"


@dataclass(frozen=True)
class ModelChoice:
    """A model, and the device and precision to run it with.

    Parameters
    ----------
    name : str
        Its name in messages; choices that differ in nothing else are equal.
    checkpoint : Path, optional
        Its file, or folder; None: the bundled weights.
    device : str
        A torch device, or "auto" for the fastest one.
    exact : bool, optional
        Whether to compute in float32. None leaves it to the device: a processor computes
        exactly, an accelerator in its fastest precision.
    version : tuple of int, optional
        Identifies the content of the file; from `with_weights`.
    decoder_version : tuple of int, optional
        Likewise, of the file of its instance decoder, if that lies beside it.
    spec : ModelSpec
        Sizes that tiles are planned with until the model is loaded and its own are known.
    """

    name: str = field(default="mobile_sam", compare=False)
    checkpoint: Path | None = None
    device: str = AUTO
    exact: bool | None = None
    version: tuple[int, int] | None = None
    decoder_version: tuple[int, int] | None = None
    spec: ModelSpec = BUNDLED.spec

    def with_weights(
        self, name: str, checkpoint: Path | None, spec: ModelSpec = BUNDLED.spec
    ) -> ModelChoice:
        """Return the choice of other weights, as their file is now, on the same device."""
        decoder = None if checkpoint is None else find_decoder(checkpoint)
        return replace(
            self,
            name=name,
            checkpoint=checkpoint,
            version=_version(checkpoint),
            decoder_version=_version(decoder),
            spec=spec,
        )

    @property
    def file(self) -> Path:
        """Its file, or folder: the bundled one if no other is chosen."""
        file = self.checkpoint or BUNDLED.bundled
        assert file is not None
        return file

    @property
    def weights(self) -> Hashable:
        """The same for two choices of the same weights, whatever they run on."""
        return self.checkpoint, self.version

    def lighter(self, runtime: Runtime) -> ModelChoice | None:
        """Return the choice to try when `runtime` runs out of memory; None if there is none.

        The lower precision comes first, then the processor.
        """
        if runtime.device == "cpu":
            return None
        if runtime.precision != runtime.fastest_precision:
            return replace(self, device=runtime.device, exact=False)
        return replace(self, device="cpu", exact=None)


def _version(file: Path | None) -> tuple[int, int] | None:
    """Return what identifies the content of a file; None without it."""
    if file is not None:
        with suppress(OSError):  # loading the model gives a better message
            status = file.stat()
            return status.st_size, status.st_mtime_ns
    return None


@dataclass(frozen=True)
class Runtime:
    """The device and precision of a model."""

    device: str  # as `Predictor` takes them
    precision: str  # as `Predictor` takes them
    fastest_precision: str  # the precision in which the device is fastest
    devices: tuple[str, ...]  # all devices of this computer

    def __str__(self) -> str:
        return self.device if self.precision == "float32" else f"{self.device}, {self.precision}"


def find_runtime(choice: ModelChoice) -> Runtime:
    """Resolve a choice to device and precision; imports torch, so not for the GUI thread."""
    from napari_sam.model.runtime.devices import available_devices, fastest_precision, resolve

    device, precision = resolve(choice.device, choice.exact)
    return Runtime(device, precision, fastest_precision(device), available_devices())


def check_device(device: str) -> None:
    """Raise ValueError, naming the available devices, if a device is missing; imports torch."""
    from napari_sam.model.runtime.devices import available_devices

    devices = (AUTO, *available_devices())
    if device.removesuffix(":0") not in {name.removesuffix(":0") for name in devices}:
        names = ", ".join(devices)
        raise ValueError(f"This computer has no device {device!r}; choose one of {names}.")


def variant_of(choice: ModelChoice) -> str:
    """Return the variant of a model, without loading it; imports torch."""
    from napari_sam.model.build import DEFAULT_VARIANT, check_loadable
    from napari_sam.model.checkpoints.state_dicts import read_checkpoint

    if choice.checkpoint is None:
        return DEFAULT_VARIANT
    return check_loadable(read_checkpoint(choice.checkpoint, lazily=True), choice.checkpoint)


def has_instance_decoder(choice: ModelChoice) -> bool:
    """Tell whether a model has an instance decoder, without loading it; imports torch."""
    from napari_sam.model.checkpoints.state_dicts import read_checkpoint

    if choice.checkpoint is None:
        return False
    return bool(read_checkpoint(choice.checkpoint, lazily=True).decoder_state)


def check(choice: ModelChoice) -> None:
    """Raise if a model cannot be loaded, without loading it; imports torch."""
    check_device(choice.device)
    variant_of(choice)


def load_predictor(choice: ModelChoice, runtime: Runtime) -> Predictor:
    """Load the weights of a model; imports torch, so not for the GUI thread."""
    from napari_sam.model import Predictor, load_model
    from napari_sam.model.runtime.devices import release_memory

    release_memory()  # of the model before
    return Predictor(load_model(checkpoint=choice.checkpoint), runtime.device, runtime.precision)
