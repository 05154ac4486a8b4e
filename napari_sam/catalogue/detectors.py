"""The table of detectors, which find objects by words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True)
class PublishedDetector:
    """A detector in a repository of Hugging Face.

    The library that loads it downloads it to its own cache.
    """

    name: str  # as windows show it
    repository: str  # OWNER/NAME
    good_for: str  # for the user who chooses
    license: str  # for the user who chooses
    citation: str  # for the user who chooses
    revision: str  # the commit
    parameters: int | None = None  # number of weights; None if it is not known here

    @property
    def page(self) -> str:
        """Web page about the detector."""
        return f"https://huggingface.co/{self.repository}"


DETECTORS: Final[tuple[PublishedDetector, ...]] = (
    PublishedDetector(
        name="Grounding DINO",
        repository="IDEA-Research/grounding-dino-tiny",
        good_for="words and phrases; looks at the image once for each word",
        license="Apache-2.0",
        citation="Liu et al., Grounding DINO, ECCV 2024, arXiv:2303.05499",
        parameters=172_000_000,
        revision="a2bb814dd30d776dcf7e30523b00659f4f141c71",
    ),
    PublishedDetector(
        name="OWLv2",
        repository="google/owlv2-base-patch16-ensemble",
        good_for="many words at once",
        license="Apache-2.0",
        citation="Minderer et al., Scaling Open-Vocabulary Object Detection, NeurIPS 2023, "
        "arXiv:2306.09683",
        parameters=155_000_000,
        revision="cfd3195ba4ea9592eec887ded089f4c08eff231d",
    ),
    PublishedDetector(
        name="CLIPSeg",
        repository="CIDAS/clipseg-rd64-refined",
        good_for="what has no clear box: a map of how well the word fits each place",
        license="Apache-2.0",
        citation="Lüddecke and Ecker, Image Segmentation Using Text and Image Prompts, CVPR 2022, "
        "arXiv:2112.10003",
        revision="583b388deb98a04feb3e1f816dcdb8f3062ee205",
    ),
)
"""The detectors of the catalogue, the default first."""


def detector_place(text: str) -> tuple[str, str | None]:
    """Return the folder or repository that a user names, and the revision.

    ``OWNER/NAME@REVISION`` gives both. Without a revision, a repository of the catalogue has the
    catalogue's.
    """
    repository, at, revision = text.partition("@")
    if at and not Path(text).expanduser().is_dir():
        return repository, revision or None
    known = {detector.repository: detector.revision for detector in DETECTORS}
    return text, known.get(text)
