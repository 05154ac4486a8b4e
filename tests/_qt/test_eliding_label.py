from qtpy.QtWidgets import QLabel

from napari_sam._qt.eliding_label import ElidingLabel

LONG = "a title or a path that is much longer than any dock is wide, and then some more of it"


def test_text_that_looks_like_html_is_shown_as_it_is(shown):
    label = shown(ElidingLabel(), width=400)
    label.show_text("one line")
    height = label.heightForWidth(400)
    label.show_text("<br>" * 5 + "<img src='//server/share/a.png'>")
    assert label.heightForWidth(400) == height
    assert "<br>" in label.text()


def test_a_label_wraps_texts_and_elides_paths(shown):
    label = shown(ElidingLabel(), width=150)
    label.show_path(LONG)
    assert label.text() == label.toolTip() == LONG
    assert "…" in QLabel.text(label)
    assert QLabel.text(label).endswith("of it")
    label.show_text(LONG)
    assert QLabel.text(label) == LONG
    assert label.toolTip() == ""
    assert label.heightForWidth(150) > 2 * label.fontMetrics().height()
