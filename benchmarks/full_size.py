"""Build ViT-B, ViT-L and ViT-H at full size, run each once, and print time and peak memory.

Run by hand:  python benchmarks/full_size.py [vit_b ...] [--against-transformers]

Each variant runs in a process of its own, with random weights. With the option, ViT-B is also
compared with transformers' SamModel of the same weights.
"""

import argparse
import resource
import subprocess
import sys
import time

from napari_sam.model import VARIANTS, Predictor

# isort: split
import numpy as np
import torch

from napari_sam.model.build import build_model
from napari_sam.model.checkpoints.layouts import to_hugging_face
from napari_sam.model.sam.sam import Sam

GIB = 2**30


def random_model(variant: str) -> Sam:
    """Return a model whose relative positions count, as they would not with fresh zeros."""
    torch.manual_seed(0)
    model = build_model(VARIANTS[variant]).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            parameter.normal_(std=0.1)
    return model


def run(variant: str) -> None:
    """Encode and decode once."""
    started = time.perf_counter()
    predictor = Predictor(random_model(variant), device="cpu")
    built = time.perf_counter()
    image = np.random.default_rng(0).integers(0, 256, (768, 1024, 3), np.uint8)
    embedding = predictor.encode(image)
    encoded = time.perf_counter()
    predictor.decode(embedding, points_xy=[[500, 300]], point_labels=[1])
    decoded = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
    print(
        f"{variant}: build {built - started:.1f} s, encode {encoded - built:.1f} s, "
        f"decode {1e3 * (decoded - encoded):.0f} ms, peak {peak / GIB:.2f} GiB, "
        f"{torch.get_num_threads()} threads"
    )


@torch.inference_mode()
def compare() -> None:
    """Print how far ViT-B is from transformers', relative to the size of the output."""
    from transformers import SamConfig, SamModel

    model = random_model("vit_b")
    theirs = SamModel(SamConfig()).eval()
    weights = to_hugging_face(model.state_dict())
    positions = weights["shared_image_embedding.positional_embedding"]
    weights["prompt_encoder.shared_embedding.positional_embedding"] = positions
    theirs.load_state_dict(weights, strict=True)
    image = torch.randn(1, 3, 1024, 1024)
    points, labels = torch.tensor([[[500.0, 300.0]]]), torch.tensor([[1]])

    expected = theirs.get_image_embeddings(image)
    embedding = model.image_encoder(image)
    output = theirs(
        image_embeddings=embedding, input_points=points[None], input_labels=labels[None]
    )
    encoder, decoder = model.prompt_encoder, model.mask_decoder
    factored = model.factored(encoder.image_pe())
    tokens = model.prepare((embedding[0],), factored)
    logits, ious = decoder(factored, tokens, encoder.sparse(points, labels, None), True)
    for name, ours, other in (
        ("embedding", embedding, expected),
        ("logits", logits, output.pred_masks[0]),
        ("IoU predictions", ious, output.iou_scores[0]),
    ):
        difference = torch.linalg.norm(ours - other) / torch.linalg.norm(other)
        print(f"vit_b against transformers, {name}: {difference:.1e} relative")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", default=["vit_b", "vit_l", "vit_h"])
    parser.add_argument("--against-transformers", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.against_transformers:
        compare()
        return
    for variant in arguments.variants:
        if arguments.here:
            run(variant)
        else:
            # A process of its own, or the peak would be that of the largest so far.
            subprocess.run([sys.executable, __file__, variant, "--here"], check=True)


if __name__ == "__main__":
    main()
