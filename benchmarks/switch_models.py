"""Measure what is left of a model's memory after another one was chosen.

Run by hand:  python benchmarks/switch_models.py [--variant vit_b] [--times 3]

Switches a session to and fro between the bundled model and one with random weights, and prints
the memory of the process after each switch.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import psutil

from napari_sam.session import AnnotationSession, ImagePlane, ModelChoice, Prompts

TIMEOUT_S = 600


def write_random_weights(variant: str, path: Path) -> int:
    """Write a checkpoint of a variant; return its size in bytes."""
    import torch
    from safetensors.torch import save_file

    from napari_sam.model import VARIANTS
    from napari_sam.model.build import build_model

    torch.manual_seed(0)
    save_file(build_model(VARIANTS[variant]).state_dict(), path)
    return path.stat().st_size


def main() -> None:
    """Switch and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", default="vit_b", choices=("vit_b", "vit_l", "vit_h"))
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.safetensors"
        size_bytes = write_random_weights(arguments.variant, path)
        print(f"{arguments.variant}: {size_bytes / 1e6:.0f} MB of weights")
        session = AnnotationSession()
        image = np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8)
        session.set_image(ImagePlane(image))
        session.set_prompts(Prompts(points_xy=((200, 150),), point_labels=(1,)))
        choices = [ModelChoice(), ModelChoice(arguments.variant, path)] * arguments.times
        for choice in [*choices, ModelChoice()]:
            session.set_model(choice)
            session.wait_until_idle(TIMEOUT_S)
            resident = psutil.Process().memory_info().rss
            print(f"{session.state.active_model.name:12}{resident / 1e6:8.0f} MB")
        session.close()


if __name__ == "__main__":
    main()
