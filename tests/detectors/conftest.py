import pytest

from tests.detectors.tiny_detectors import KINDS, save_detector


@pytest.fixture(scope="session")
def detector_folders(tmp_path_factory):
    """The folders of small detectors, by kind."""
    pytest.importorskip("transformers")
    return {kind: save_detector(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}
