from qtpy.QtWidgets import QLabel

from napari_sam._qt.on_demand import OnDemand
from napari_sam._qt.tabs import DockTabs, Tab


def test_one_page_is_on_top_and_tells_so(shown, heard):
    tabs = [Tab(QLabel(name), name, f"about {name}") for name in ("one", "two", "three")]
    widget = shown(DockTabs(*tabs))
    assert [tab.is_current for tab in tabs] == [True, False, False]
    toggles = heard(tabs[1], "toggled")
    widget._buttons[1].click()
    assert [tab.is_current for tab in tabs] == [False, True, False]
    tabs[2].select()
    assert widget.pages.currentWidget() is tabs[2]
    widget._buttons[2].click()  # a second press does not hide it
    assert widget._buttons[2].isChecked()
    assert toggles == [("toggled", True), ("toggled", False)]


def test_another_title_lays_out_nothing(shown):
    tab = Tab(QLabel(), "Objects (0)", "all of them")
    widget = shown(DockTabs(tab), width=200)
    hint = widget.sizeHint()
    tab.set_title("Objects (123,456,789) and some more that does not fit")
    assert widget._buttons[0].text() == tab.title
    assert widget.sizeHint() == hint


def test_a_tab_that_is_not_offered_has_no_title_and_leaves_its_place_to_the_first(shown, heard):
    tabs = [Tab(QLabel(name), name, f"about {name}") for name in ("one", "two")]
    tabs[1].offer(False)
    widget = shown(DockTabs(*tabs))
    tabs[1].select()
    assert tabs[0].is_current
    assert not widget._buttons[1].isVisible()
    tabs[1].offer(True)
    assert widget._buttons[1].isVisible()
    tabs[1].select()
    toggles = heard(tabs[1], "toggled")
    tabs[1].offer(False)
    assert tabs[0].is_current
    assert widget.pages.currentWidget() is tabs[0]
    assert toggles == [("toggled", False)]


def test_a_page_is_built_when_its_tab_is_first_brought_on_top(shown):
    pages = [OnDemand(lambda name=name: QLabel(name)) for name in ("one", "two")]
    tabs = [Tab(page, "title", "tooltip") for page in pages]
    widget = shown(DockTabs(*tabs))
    assert pages[0].built.isVisible()
    assert pages[1].built is None
    widget._buttons[1].click()
    page = pages[1].built
    assert page.isVisible()
    widget._buttons[0].click()
    widget._buttons[1].click()
    assert pages[1].get() is page
