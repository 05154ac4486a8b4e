"""What the report says about the computer."""

from pathlib import Path

import pytest

from napari_sam.bench.machine import describe_machine

pytestmark = pytest.mark.slow


def test_the_machine_is_described_without_whose_it_is():
    machine = describe_machine("cpu")
    assert list(machine) == ["system", "processor", "cores", "memory", "gpu"]
    assert str(Path.home()) not in str(machine)
