"""Classes: their table, what the user does to them, and their files."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from napari_sam.formats.classes import PALETTE, ClassError
from napari_sam.formats.files import FileError
from napari_sam.formats.left_out import LeftOut
from napari_sam.session import (
    AnnotationSession,
    ArrayPlane,
    ImagePlane,
    ObjectClass,
    Prompts,
    TargetError,
)
from napari_sam.session.classes.classes import (
    ClassTable,
    classes_from_json,
    classes_to_json,
    with_classes,
)
from napari_sam.session.classes.files import read_classes, write_classes
from napari_sam.session.objects import editing
from napari_sam.session.objects.measuring import find_objects
from napari_sam.session.objects.records import RecordChange
from tests.systems import needs_devices, needs_pipes

TEAM = (ObjectClass("nucleus", "#e69f00"), ObjectClass("Zellkern 核", "#112233"))


@pytest.fixture
def session():
    session = AnnotationSession()
    session.set_image(ImagePlane(np.zeros((20, 30), np.uint8)))
    labels = np.zeros((20, 30), np.uint16)
    labels[2:5, 2:5], labels[8:12, 8:12], labels[15:18, 15:18] = 1, 2, 3
    target = ArrayPlane(labels)
    target.labels.registry.replace_all(find_objects(target.labels))
    session.set_target(target)
    yield session
    session.close()


def names(session):
    return [one.name for one in session.classes.table.classes]


def classes_of(session):
    registry = session.editing.target.labels.registry
    return [registry.get(label_id).class_name for label_id in (1, 2, 3)]


def test_a_name_is_one_line_and_a_color_is_hexadecimal():
    assert ObjectClass("a", "#ABCDEF").color == "#abcdef"
    for wrong in ("", " a", "a\nb", "a\ud83d"):
        with pytest.raises(ClassError, match="is not a class name"):
            ObjectClass(wrong, "#000000")
    with pytest.raises(ClassError, match="color"):
        ObjectClass("a", "red")


def test_what_objects_have_is_in_the_table(session):
    session.objects.update([1], class_name="nucleus")
    session.objects.update([2], class_name="debris")
    assert names(session) == ["nucleus", "debris"]
    assert [one.color for one in session.classes.table.classes] == list(PALETTE[:2])
    session.classes.table.ensure([TEAM[0], TEAM[1], None])
    assert names(session) == ["nucleus", "debris", "Zellkern 核"]
    assert session.classes.table.classes[2].color == "#112233"


def test_renaming_a_class_renames_its_objects_and_is_one_step(session):
    session.classes.add("nucleus")
    session.classes.add("debris")
    session.objects.update([1, 3], class_name="nucleus")
    session.classes.table.choose("nucleus")
    session.classes.rename("nucleus", "cell")
    assert names(session) == ["cell", "debris"]
    assert classes_of(session) == ["cell", None, "cell"]
    assert session.classes.table.current == "cell"
    session.undo()
    assert names(session) == ["nucleus", "debris"]
    assert classes_of(session) == ["nucleus", None, "nucleus"]
    assert session.classes.table.current == "nucleus"
    session.redo()
    assert names(session) == ["cell", "debris"]
    assert classes_of(session) == ["cell", None, "cell"]
    with pytest.raises(ClassError, match="already"):
        session.classes.rename("cell", "debris")
    assert classes_of(session) == ["cell", None, "cell"]


def test_removing_a_class_leaves_its_objects_without_one(session):
    session.classes.load(TEAM)
    session.objects.update([2], class_name="nucleus")
    session.classes.table.choose("nucleus")
    session.classes.remove("nucleus")
    assert names(session) == ["Zellkern 核"]
    assert classes_of(session) == [None, None, None]
    assert session.classes.table.current is None
    session.undo()
    assert session.classes.table.classes == TEAM
    assert classes_of(session) == [None, "nucleus", None]


def test_a_class_is_current_again_when_it_comes_back(session):
    table = session.classes.table
    session.classes.add("coin")
    session.classes.add("ring")
    session.undo()
    assert table.current == "coin"
    session.redo()
    assert table.current == "ring"
    session.classes.remove("ring")
    assert table.current is None
    session.undo()
    assert table.current == "ring"
    session.undo()
    table.choose(None)  # a choice since then stays
    session.redo()
    assert table.current is None


def test_adding_recoloring_and_loading_can_be_undone(session):
    session.classes.add("a")
    session.classes.recolor("a", "#010203")
    session.objects.update([1], class_name="a")
    session.classes.load(TEAM)
    assert names(session) == ["nucleus", "Zellkern 核", "a"]
    for _ in range(3):
        session.undo()
    assert session.classes.table.classes == (ObjectClass("a", PALETTE[0]),)
    session.undo()
    assert names(session) == []
    assert not session.state.can_undo
    with pytest.raises(ClassError, match="no class"):
        session.classes.table.choose("a")


def test_a_new_object_gets_the_current_class_and_a_reedited_one_keeps_its_own(session):
    session.classes.load(TEAM)
    session.classes.table.choose("nucleus")
    box = Prompts(box_xyxy=(18.0, 2.0, 27.0, 11.0))
    session.set_prompts(box)
    session.wait_until_idle(120)
    made = session.accept().label_id
    registry = session.editing.target.labels.registry
    assert registry.get(made).class_name == "nucleus"
    session.classes.table.choose("Zellkern 核")
    session.objects.reedit(made)
    session.set_prompts(Prompts(box_xyxy=(18.0, 2.0, 26.0, 10.0)))
    session.wait_until_idle(120)
    session.accept()
    assert registry.get(made).class_name == "nucleus"


def test_files_of_ours_and_of_others(tmp_path):
    ours = tmp_path / "classes.json"
    write_classes(ours, TEAM)
    assert read_classes(ours) == TEAM
    assert json.loads(ours.read_text("utf-8"))["classes"][0] == {
        "name": "nucleus",
        "color": "#e69f00",
    }
    assert classes_from_json(classes_to_json(TEAM)) == TEAM
    for name, text in (
        ("data.yaml", "train: x\nnames:\n  1: debris\n  0: nucleus\n"),
        ("list.yaml", "names: [nucleus, debris]\n"),
        ("plain.txt", "\ufeffnucleus\n\n debris \r\n"),
        ("bare.json", '["nucleus", {"name": "debris", "color": [155, 127, 232]}]'),
        (
            "coco.json",
            '{"categories": [{"id": 1, "name": "nucleus"}, {"id": 2, "name": "debris"}]}',
        ),
    ):
        (tmp_path / name).write_text(text, "utf-8")
        read = read_classes(tmp_path / name)
        assert [(one.name, one.color) for one in read] == [
            ("nucleus", PALETTE[0]),
            ("debris", PALETTE[1]),
        ], name


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("mixed.yaml", "names:\n  1: a\n  b: c\n", "numbered"),
        ("version.json", '{"format": "napari-sam-live classes", "version": "2"}', "version '2'"),
        ("deep.json", "[" * 100_000, "nested too deeply"),
        ("deep.yaml", "[" * 3000, "nested too deeply"),
        ("long.json", f"[{'9' * 5000}]", "digits"),
        ("tag.yaml", "names: [!!timestamp x]", "groupdict"),
        ("half.json", r'["a\ud83d"]', "valid characters"),
        ("nested.json", '[["a"]]', "has no name"),
        ("color.json", '[{"name": "a", "color": [1, 2, null]}]', "color"),
        ("log.txt", "".join(f"line {number}\n" for number in range(8000)), "8,000 names"),
        ("large.txt", "a" * 2**18, "larger"),
    ],
)
def test_whatever_else_is_chosen_by_mistake_is_refused_as_no_classes(tmp_path, name, text, why):
    (tmp_path / name).write_text(text)
    with pytest.raises(FileError, match=f"(?s){why}.*{name}"):
        read_classes(tmp_path / name)


def test_names_that_are_numbered_in_json_come_in_the_order_of_their_numbers(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"names": {"10": "c", "2": "b", "1": "a"}}))
    assert [one.name for one in read_classes(tmp_path / "a.json")] == ["a", "b", "c"]


def test_many_classes_take_no_more_time_each_than_few():
    compared = 0

    class Name(str):
        __slots__ = ()

        def __eq__(self, other):
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    table = ClassTable()
    names = [Name(f"class {number}") for number in range(1000)]
    table.replace_all(with_classes((), [(name, None) for name in names]))
    assert compared < 5000
    assert table.classes[len(PALETTE)].color == PALETTE[0]


@pytest.mark.parametrize("color", [[300, 0, 0], [-1, 0, 0], [10**30, 0, 0], [True, 0, 0], 3])
def test_colors_out_of_range_are_refused(tmp_path, color):
    path = tmp_path / "classes.json"
    path.write_text(json.dumps([{"name": "a", "color": color}]))
    with pytest.raises(FileError, match="color"):
        read_classes(path)


def test_half_a_character_comes_into_no_class(session):
    with pytest.raises(ClassError, match="valid characters"):
        session.classes.add("n\ud83d")
    with pytest.raises(TargetError, match="invalid Unicode character"):
        session.objects.update([1], class_name="n\ud83d")
    session.classes.table.ensure(["n\ud83d"])
    assert names(session) == ["n\ufffd"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "no classes"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "4300 digits"),
        ('{"format": "napari-sam-live classes", "version": null}', "version None"),
        ('{"other": 1}', "list of classes"),
        ('[{"name": "a", "color": "red"}]', "color"),
        ('[{"color": "#000000"}]', "has no name"),
        ('{"format": "napari-sam-live classes", "version": 9, "classes": ["a"]}', "update"),
    ],
)
def test_files_that_are_no_classes_are_refused(tmp_path, text, why):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FileError, match=why):
        read_classes(tmp_path / "a.json")
    with pytest.raises(FileError, match="cannot be written"):
        write_classes(tmp_path / "missing" / "a.json", TEAM)


@needs_devices
def test_classes_are_not_written_to_a_device():
    with pytest.raises(FileError, match="a pipe or a device"):
        write_classes("/dev/null", TEAM)


def test_a_class_that_cannot_be_read_does_not_refuse_the_others(tmp_path):
    entries = ["a", None, "a", {"name": "b", "color": "red"}, {"name": "c", "color": "#010203"}]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    left_out = LeftOut()
    read = read_classes(tmp_path / "a.json", left_out)
    assert [(entry.name, entry.color) for entry in read] == [("a", PALETTE[0]), ("c", "#010203")]
    assert str(left_out) == ("3 entries left out (class 2: It has no name)")


def test_numbers_and_texts_do_not_number_classes_together(tmp_path):
    (tmp_path / "a.yaml").write_text("names:\n  1: a\n  b: c\n")
    with pytest.raises(ClassError, match="numbered"):
        read_classes(tmp_path / "a.yaml")


def test_classes_that_came_with_objects_stay_when_an_earlier_step_is_undone(session):
    session.classes.add("a")
    session.classes.rename("a", "b")
    session.classes.table.ensure([TEAM[1]])
    for expected in (["a", TEAM[1].name], [TEAM[1].name]):
        session.undo()
        assert names(session) == expected
    for expected in (["a", TEAM[1].name], ["b", TEAM[1].name]):
        session.redo()
        assert names(session) == expected
    assert session.classes.table.classes[1] == TEAM[1]


def test_a_class_of_objects_is_there_also_after_its_making_is_undone(session):
    session.classes.add("a")
    registry = session.editing.target.labels.registry
    record = registry.get(1)
    registry.apply((RecordChange(record, replace(record, class_name="a")),))
    session.undo()
    assert names(session) == ["a"]


def test_objects_of_another_target_that_keep_a_class_are_told_of(session, listen):
    session.objects.update([1, 3], class_name="a")
    other = ArrayPlane(np.zeros((20, 30), np.uint16))
    first = session.editing.target
    session.set_target(other)
    warned = listen(session).warnings
    session.classes.rename("a", "b")
    session.classes.remove("b")
    assert len(warned) == 1
    assert warned[0].startswith("2 objects in other layers still have the class a")
    first.labels.is_gone = True
    session.classes.table.ensure(["a"])
    session.classes.remove("a")
    assert len(warned) == 1


def test_other_classes_of_the_same_number_do_not_become_the_current_one(session):
    session.classes.load(TEAM)
    session.classes.table.choose("nucleus")
    session.classes.load((ObjectClass("x", "#000000"), ObjectClass("y", "#000000")))
    assert session.classes.table.current is None


def test_the_current_class_follows_a_change_only_where_it_is_still_there():
    table = ClassTable()
    table.replace_all(TEAM)
    table.choose("nucleus")
    table.replace_all(TEAM[1:])
    assert table.current is None
    assert table.name_of(1) == "Zellkern 核"
    assert table.name_of(2) is None


@needs_pipes
def test_a_pipe_is_no_file_of_classes(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(FileError, match="a pipe or a device"):
        read_classes(tmp_path / "a.json")


def test_objects_and_classes_change_together_in_the_background(session, monkeypatch):
    monkeypatch.setattr(editing, "MAX_RECORDS_AT_ONCE", 1)
    session.classes.add("cell", "#112233")
    session.classes.add("debris")
    for details in ({"class_name": "cell"}, {"note": "old"}):
        session.objects.update([1, 2], **details)
        with pytest.raises(TargetError, match="still being written"):
            session.objects.update([3], reviewed=True)
        session.wait_until_idle(60)
    before = session.classes.table.classes
    session.classes.rename("cell", "nucleus")
    session.wait_until_idle(60)
    assert (names(session), classes_of(session)) == (
        ["nucleus", "debris"],
        ["nucleus", "nucleus", None],
    )
    session.undo()
    session.wait_until_idle(60)
    assert session.classes.table.classes == before
    assert classes_of(session) == ["cell", "cell", None]
    session.redo()
    session.wait_until_idle(60)
    assert names(session) == ["nucleus", "debris"]
    session.classes.remove("nucleus")
    session.wait_until_idle(60)
    assert (names(session), classes_of(session)) == (["debris"], [None] * 3)
    for _ in range(3):
        session.undo()
        session.wait_until_idle(60)
    assert classes_of(session) == ["cell", "cell", None]
    assert [record.note for record in session.editing.target.labels.registry] == [""] * 3
