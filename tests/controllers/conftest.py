import pytest

from napari_sam.controllers import messages as shown_messages


@pytest.fixture
def said(monkeypatch):
    """What is shown to the user."""
    messages: list[str] = []
    for name in ("show_info", "show_warning"):
        monkeypatch.setattr(shown_messages, name, messages.append)
    return messages
