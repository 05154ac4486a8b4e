"""Convert the published MobileSAM checkpoint into the weights file that ships inside the package.

Run by hand, once:  python scripts/embed_weights.py mobile_sam.pt

The result depends on nothing but the checkpoint: same tensors in, same bytes out.
"""

import argparse
import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file

DESTINATION = Path(__file__).parents[1] / "napari_sam/model/weights/mobile_sam.safetensors"

# TinyViT was pre-trained as a classifier; SAM never runs that head.
UNUSED_PREFIXES = ("image_encoder.norm_head.", "image_encoder.head.")


def convert(source: Path, destination: Path) -> str:
    """Write the tensors of `source` that SAM uses to `destination`.

    Parameters
    ----------
    source : Path
        The published ``mobile_sam.pt``.
    destination : Path
        The safetensors file to write; it must not exist.

    Returns
    -------
    str
        SHA-256 of the written file.

    Raises
    ------
    FileExistsError
        If `destination` exists: every rewrite of a 40 MB file stays in the repository's history.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists; delete it first if it really must change.")
    state_dict = torch.load(source, map_location="cpu", weights_only=True)
    kept = {
        key: tensor.float().contiguous() if tensor.is_floating_point() else tensor
        for key, tensor in sorted(state_dict.items())
        if not key.startswith(UNUSED_PREFIXES)
    }
    destination.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, destination, metadata={"format": "pt"})
    return hashlib.sha256(destination.read_bytes()).hexdigest()


def main() -> None:
    """Parse the command line and convert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the published mobile_sam.pt")
    parser.add_argument("--destination", type=Path, default=DESTINATION)
    arguments = parser.parse_args()
    digest = convert(arguments.source, arguments.destination)
    print(f"{arguments.destination}  sha256 {digest}")


if __name__ == "__main__":
    main()
