"""`napari-sam bench` measures the speed here; `napari-sam export-onnx` writes ONNX files."""

from pathlib import Path
from typing import Final

import click

from napari_sam.bench.options import PEERS, Options
from napari_sam.cli.options import device_option, examples, json_option
from napari_sam.cli.output import print_json, readers_on_stderr

_INTERFACE: Final = """\b
Examples:
  napari-sam export-onnx models
  napari-sam export-onnx models --checkpoint sam_vit_b_01ec64.pth

\b
encoder.onnx
  input_image       (h, w, 3) float32, RGB, 0 to 255, resized so that the
                    longer side is 1024; normalized and padded inside
  image_embeddings  (1, 256, 64, 64), the output
decoder.onnx, as in Meta's published export
  image_embeddings  (1, 256, 64, 64)
  point_coords      (1, N, 2), x and y in pixels of the resized image
  point_labels      (1, N): 1 foreground, 0 background, 2 and 3 the corners
                    of a box, -1 padding; without a box, add a point (0, 0)
                    labeled -1
  mask_input        (1, 1, 256, 256), low_res_masks of a previous run
  has_mask_input    (1,): 1, or 0 to ignore mask_input
  orig_im_size      (2,), height and width before resizing
  masks             (1, 4, height, width), the outputs; above 0 in the mask.
                    The first is for clear prompts, three for ambiguous ones
  iou_predictions   (1, 4), their predicted IoU
  low_res_masks     (1, 4, 256, 256), before upscaling

\b
SAM 2.1 also has
  high_res_feats_0     (1, 32, 256, 256) and
  high_res_feats_1     (1, 64, 128, 128), outputs of the encoder, which the
                       decoder takes after image_embeddings
  object_score_logits  (1, 1), an output of the decoder: above 0 if the
                       object is in the image
and wants the point (0, 0) labeled -1 after a box, too
"""

checkpoint_option = click.option(
    "--checkpoint",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Checkpoint file; by default the bundled MobileSAM.",
)


@click.command(name="export-onnx", epilog=_INTERFACE)
@click.argument("folder", metavar="OUT_FOLDER", type=click.Path(path_type=Path))
@checkpoint_option
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def export_onnx(folder: Path, checkpoint: Path | None, overwrite: bool) -> None:
    """Write encoder.onnx and decoder.onnx to OUT_FOLDER, for browsers and other software.

    All numbers are float32. The metadata of both files give the source and license of the weights.
    """
    from napari_sam.catalogue.table import BUNDLED
    from napari_sam.model import load_model
    from napari_sam.model.onnx.export import export_onnx as write

    origin = {
        "source": f"{BUNDLED.name}, {BUNDLED.page}",
        "license": BUNDLED.license,
        "citation": BUNDLED.citation,
    }
    if checkpoint is not None:
        origin = {"source": checkpoint.name}
    files = write(load_model(checkpoint=checkpoint), folder, overwrite, origin)
    for path in (files.encoder, files.decoder):
        click.echo(f"{path}, {path.stat().st_size / 1e6:.0f} MB")


@click.command(epilog=examples("napari-sam bench", "napari-sam bench --peer onnxruntime"))
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice(PEERS),
    help="Also measure this software, in alternation; repeatable.",
)
@click.option(
    "--peer-encoder",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Also measure this image encoder, an ONNX file that takes a normalized (1, 3, S, S).",
)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@device_option
@click.option("--precision", default="float32", help="float32 (default), bfloat16 or float16.")
@checkpoint_option
@json_option
@click.option("--no-window", is_flag=True, help="Skip the timings that need a window.")
def bench(
    peers: tuple[str, ...],
    peer_encoder: str | None,
    rounds: int,
    device: str,
    precision: str,
    checkpoint: Path | None,
    as_json: bool,
    no_window: bool,
) -> None:
    """Measure the speed of the model and the window on this computer.

    Takes a minute or two; do not use the computer meanwhile. Prints a table that can be pasted
    into an issue.
    """
    from napari_sam.bench.run import run

    options = Options(
        None if checkpoint is None else str(checkpoint),
        device,
        precision,
        rounds,
        tuple(dict.fromkeys(peers)),
        peer_encoder,
        not no_window,
    )
    with readers_on_stderr():
        report = run(options, lambda text: click.echo(text, err=True))
    if as_json:
        print_json(report.as_dict())
    else:
        click.echo(report.as_markdown())


COMMANDS: Final = (export_onnx, bench)
"""The commands in this module."""
