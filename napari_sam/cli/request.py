"""`napari-sam request`: answer JSON requests like a hosted SAM endpoint."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import click

from napari_sam.cli.exit_codes import FAILED, NOTHING_WRITTEN, end_stopped, print_error
from napari_sam.cli.options import checked_choice, load, model_options
from napari_sam.cli.output import print_json, readers_on_stderr
from napari_sam.cli.words import detector_options, load_chosen

_EXAMPLES: Final = """\b
Examples:
  napari-sam request boxes.json > answer.json
  napari-sam request --model vit_b -o answer.json boxes.json
  some-program | napari-sam request - | another-program

\b
A request:
  {"input_data": {
     "columns": ["image", "input_points", "input_boxes", "input_labels", "multimask_output"],
     "index": [0, 1],
     "data": [["cells.png", "", "[[65, 90, 100, 125]]", "", false],
              ["cells.png", "[[[40, 30], [45, 70]]]", "", "[[1, 0]]", true]]},
   "params": {}}

\b
A column input_text has words that name objects, such as "coin, ring": the answer has a
prediction for each that is found.

\b
Exit codes:
  0    all rows are answered
  1    some rows have an error instead, or the answer cannot be written
  2    usage error, or not a request: see the message
  130  stopped with Ctrl-C
"""


@click.command(epilog=_EXAMPLES)
@click.argument("file", metavar="FILE.json", type=click.File("rb"))
@click.option(
    *("-o", "--output"),
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the answer to this file instead of printing it.",
)
@model_options
@detector_options
@click.option("--allow-urls", is_flag=True, help="Also load images from http and https addresses.")
def request(
    file: Any,
    output: Path | None,
    model: str | None,
    device: str,
    text_threshold: float | None,
    detector: str | None,
    allow_urls: bool,
) -> None:
    """Answer a JSON request like a hosted SAM endpoint.

    FILE.json is the request, or - for standard input. An image is base64, a path or a data URL;
    points, boxes and labels are JSON strings, empty for none. The answer has the predictions, or
    an error, for each row.
    """
    from napari_sam.formats.files import write_json
    from napari_sam.request import RequestError, Rules, WordFinder, answer_request

    try:
        content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"The request is not JSON ({error}).") from error
    except OSError as error:
        raise click.UsageError(f"The request cannot be read ({error.strerror}).") from error
    try:
        choice = checked_choice(model, device)
        predictor = load(choice)
        finder = WordFinder(lambda: load_chosen(detector, choice), text_threshold)
        with (
            readers_on_stderr(),
            click.progressbar(length=1, label="rows", show_pos=True, file=sys.stderr) as bar,
        ):

            def show(done: int, total: int) -> None:
                bar.length = total
                bar.update(done - bar.pos)

            rules = Rules(allow_urls=allow_urls)
            answers = answer_request(content, predictor, rules, show, finder)
        if output is None:
            print_json(answers, indent=None)
        else:
            write_json(output, answers)
    except RequestError as error:
        raise click.UsageError(str(error)) from error
    except KeyboardInterrupt:
        end_stopped(NOTHING_WRITTEN)
    errors = [answer["error"] for answer in answers if "error" in answer]
    for row_error in errors:
        print_error(f"row {row_error['row']}: {row_error['message']}")
    if errors:
        sys.exit(FAILED)
