"""Texts of widgets that name keys."""

from __future__ import annotations

from functools import partial

from napari_sam._qt.shortcut_texts import ShortcutTexts


def test_texts_name_the_keys_that_are_in_force():
    said, texts = {}, ShortcutTexts()
    texts.add(partial(said.__setitem__, "button"), "Accept", "accept")
    texts.add(partial(said.__setitem__, "tip"), "Delete these", "remove", "{} over one")
    assert said == {"button": "Accept", "tip": "Delete these"}
    texts.show({"accept": "J", "remove": "Shift+X"})
    assert said == {"button": "Accept (J)", "tip": "Delete these (Shift+X over one)"}
    texts.show({"accept": "", "remove": "X"})
    assert said == {"button": "Accept", "tip": "Delete these (X over one)"}
