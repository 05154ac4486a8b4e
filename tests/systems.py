"""What not every operating system has: marks for tests that need it."""

import os
import signal
from pathlib import Path

import pytest

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
needs_devices = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such devices here")
needs_kills = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="the script forks, which starts fast"
)
