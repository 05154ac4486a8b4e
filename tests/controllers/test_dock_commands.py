"""The commands of tabs, windows, files and runs, which begin without keys."""

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog
from skimage import data

from napari_sam.controllers.assembly import TAB_NAMES


def test_tabs_windows_and_buttons_have_commands(make_widget, said, monkeypatch):
    _, widget = make_widget(Image(data.coins()[40:110, 40:140], name="coins"))
    parts, run, pressed = widget.controllers, widget.binding.shortcuts.run, []
    for name, tab in zip(TAB_NAMES, parts.tabs.tabs, strict=True):
        run(f"tab_{name}")
        assert tab.is_current or not tab.is_offered
        window = widget.window()
        assert not tab.is_offered or tab.isAncestorOf(window.focusWidget())
    assert said.pop().startswith("The image has no other slices")
    for asked in ("export_row.ask_for_name", "file_names.QFileDialog.getSaveFileName"):
        monkeypatch.setattr(
            f"napari_sam._qt.{asked}", lambda *_: pressed.append("save") or ("", "")
        )
    monkeypatch.setattr(
        QFileDialog, "getOpenFileName", lambda *_: pressed.append("open") or ("", "")
    )
    for name in ("export", "import_objects", "save_session", "open_session"):
        run(name)
    assert pressed == ["save", "open"] * 2
    assert parts.objects.tab.is_current
    for name in (
        "merge",
        "automatic_cancel",
        "automatic_discard",
        "segment_all",
        "embed_all",
        "join_tracks",
        "automatic_accept_all",
    ):
        run(name)
        assert said.pop()  # why not, and what to do
        assert not said
    run("accept_at_once")
    assert parts.annotate.prompt_panel.accept_on_click.isChecked()
    for window, name in zip(parts.windows, ("models", "appearance"), strict=True):
        run(name)
        assert not window.isHidden()
