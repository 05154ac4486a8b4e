"""Peak memory of a process that loads a model, encodes an image and decodes a click."""

import platform
import re
from pathlib import Path

from napari_sam.bench.options import Options


def peak_bytes() -> int:
    """Return the peak memory of this process."""
    if platform.system() == "Linux":
        # `getrusage` would include the parent process here.
        match = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
        assert match is not None
        return int(match[1]) * 1024
    if platform.system() == "Windows":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(options: Options) -> dict[str, int]:
    """Load, encode, decode once; return the peak and the size of the weights, in bytes."""
    import numpy as np

    model, predictor = options.load()
    import torch

    # No sample image: the imports for reading one would count.
    image = np.random.default_rng(0).integers(0, 256, (1200, 1800, 3), np.uint8)
    embedding = predictor.encode(image)
    predictor.decode(embedding, [[989, 760]], [1]).mask_crop(0)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    result = {"peak": peak_bytes(), "weights": weights}
    if predictor.device.startswith("cuda"):
        result["gpu"] = torch.cuda.max_memory_allocated(predictor.device)
    return result
