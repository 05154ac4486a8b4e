"""What tests of the command line share."""

import gc
import warnings

import pytest


@pytest.fixture
def reader_leaves_file_open():
    """Let a reader leave a file open that it cannot read, and close it before the next test.

    pytest restores its filters of warnings after each test.
    """
    warnings.filterwarnings("ignore", ".*unclosed file", ResourceWarning)
    yield
    gc.collect()
