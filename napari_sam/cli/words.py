"""The options that name objects by words, and choose the detector that finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from napari_sam.cli.exit_codes import print_error

if TYPE_CHECKING:
    from napari_sam.batch.prompted import PromptedMask
    from napari_sam.engine.detection import Detector
    from napari_sam.session.embedding.embeddings import Embedder
    from napari_sam.session.image.image_plane import ImagePlane
    from napari_sam.session.models.model_choice import ModelChoice
    from napari_sam.session.prompts.prompts import Prompts

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class WordOptions:
    """What is to be found by words."""

    texts: tuple[str, ...]
    threshold: float | None = None  # None for the detector's own
    detector: str | None = None  # None for the default one

    @property
    def words(self) -> tuple[str, ...]:
        """The words of all texts."""
        from napari_sam.session.words.search import words_in

        return words_in(",".join(self.texts))

    def check(self, others: Mapping[str, Any]) -> None:
        """Refuse texts without a word, and other options, by name, that do not go with words."""
        from napari_sam.detectors import require_transformers

        if not self.words:
            raise click.UsageError("--text has no word: give for example --text coin.")
        if given := [name for name, value in others.items() if value]:
            msg = "--text goes with --point and --background, which choose and correct, not "
            raise click.UsageError(f"{msg}{given[0]}.")
        require_transformers()

    def segment(
        self,
        choice: ModelChoice,
        embedder: Embedder,
        plane: ImagePlane,
        clicks: Prompts,
        clean_strength: float,
    ) -> list[PromptedMask]:
        """Segment what the words name, and say so if that is nothing."""
        from napari_sam.batch.words import segment_words

        detector, words = load_chosen(self.detector, choice), self.words
        about = detector, plane, words, self.threshold, clicks, clean_strength
        masks = segment_words(embedder, *about)
        if not masks:
            least = detector.default_threshold if self.threshold is None else self.threshold
            print_error(
                f"Nothing was found for {', '.join(words)} with a score of {least:g} or more: "
                "lower --text-threshold, or use other words."
            )
        return masks


def word_options(command: Command) -> Command:
    """Add the options for words, which the command gets as `words`; None without words."""

    @wraps(command)
    def with_words(
        *args: Any,
        texts: Sequence[str],
        text_threshold: float | None,
        detector: str | None,
        **options: Any,
    ) -> Any:
        words = WordOptions(tuple(texts), text_threshold, detector)
        if not texts and words != WordOptions(()):
            msg = "--detector and --text-threshold are about words: give --text, too."
            raise click.UsageError(msg)
        return command(*args, words=words if texts else None, **options)

    text = click.option(
        "--text",
        "texts",
        metavar="WORD",
        multiple=True,
        help="Name of objects to find, such as coin; repeatable; one object for each that is "
        "found. Points choose among them.",
    )
    return text(detector_options(with_words))  # type: ignore[return-value]


def detector_options(command: Command) -> Command:
    """Add the options that choose a detector and what counts of its detections."""
    threshold = click.option(
        "--text-threshold",
        type=click.FloatRange(0, 1),
        help="Least score of what the words name, 0 to 1; by default what suits the detector.",
    )
    detector = click.option(
        "--detector",
        metavar="REPO|FOLDER",
        help="What finds the words: a repository of Hugging Face such as "
        "google/owlv2-base-patch16-ensemble, with @REVISION if wanted, or a folder; by default "
        "Grounding DINO.",
    )
    return threshold(detector(command))


def load_chosen(source: str | None, choice: ModelChoice) -> Detector:
    """Load the detector that a user names, or the default one, on the device of a model."""
    from napari_sam.catalogue.detectors import DETECTORS, detector_place
    from napari_sam.detectors import load_detector
    from napari_sam.session.models.model_choice import find_runtime

    place = detector_place(source or DETECTORS[0].repository)
    return load_detector(*place, device=find_runtime(choice).device)
