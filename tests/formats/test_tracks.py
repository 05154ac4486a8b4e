"""Points of tracks, from the objects of a film and in files of other programs."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from napari_sam.formats import (
    TRACK_FORMATS,
    Annotations,
    ExportObject,
    FileError,
    ImageInfo,
    read_geff,
    read_objects,
    read_tracks,
    read_tracks_csv,
    tracks_of,
    write_geff,
    write_trackmate,
    write_tracks_csv,
)
from tests.formats.films import PARENTS, content, film


def same(tracks, expected) -> None:
    np.testing.assert_allclose(tracks.points, expected.points, atol=1e-9)
    assert dict(tracks.parents) == dict(expected.parents)
    assert not tracks.left_out


def test_points_of_objects() -> None:
    mask = np.ones((3, 5), bool)
    image = ImageInfo((2, 9, 9), axes="TYX")
    objects = [ExportObject(4, mask, 1, 2, (0,)), ExportObject(6, mask, 3, 2, (1,), parent_id=4)]
    tracks = tracks_of(Annotations(image, objects))
    assert tracks.points.tolist() == [[4, 0, 2, 4], [6, 1, 4, 4]]
    assert tracks.parents == {6: 4}


def test_points_of_objects_with_slices() -> None:
    mask = np.ones((1, 1), bool)
    image = ImageInfo((4, 2, 9, 9), axes="ZTYX")
    objects = [ExportObject(1, mask, 2, 3, (z, 1)) for z in (1, 3)]
    assert tracks_of(Annotations(image, objects)).points.tolist() == [[1, 1, 2, 2, 3]]


@pytest.mark.parametrize("entry", TRACK_FORMATS, ids=lambda entry: entry.key)
@pytest.mark.parametrize("n_slices", [0, 3])
def test_every_format_holds_points_and_parents(tmp_path, entry, n_slices) -> None:
    annotations = film(n_slices)
    path = tmp_path / f"film{entry.suffixes[0]}"
    files = entry.write(path, annotations)
    assert all(file.exists() for file in files)
    if entry.key == "trackmate" and n_slices:  # a ball of the same volume has other pixels
        tracks, expected = read_tracks(path, annotations.image), tracks_of(annotations)
        assert dict(tracks.parents) == PARENTS
        assert np.array_equal(np.unique(tracks.points[:, :2], axis=0), expected.points[:, :2])
    else:
        same(read_tracks(path, annotations.image), tracks_of(annotations))


@pytest.mark.parametrize("entry", TRACK_FORMATS, ids=lambda entry: entry.key)
def test_a_film_without_objects(tmp_path, entry) -> None:
    empty = replace(film(), objects=[])
    entry.write(tmp_path / f"film{entry.suffixes[0]}", empty)


@pytest.mark.parametrize("entry", TRACK_FORMATS, ids=lambda entry: entry.key)
def test_only_films_have_tracks(tmp_path, entry) -> None:
    image = ImageInfo((24, 30))
    with pytest.raises(FileError, match="name its axis of time"):
        entry.write(tmp_path / "a", Annotations(image, []))
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_tracks(tmp_path) -> None:
    for name in ("a.tif", "a.txt"):
        with pytest.raises(FileError, match="Choose tracks that end in"):
            read_tracks(tmp_path / name, film().image)


# TrackMate ---------------------------------------------------------------------------------------


def test_trackmate_keeps_the_pixels(tmp_path) -> None:
    annotations = film()
    image = replace(
        annotations.image,
        pixel_size=(30.0, 0.3, 0.2),
        units=("second", "micrometer", "micrometer"),
    )
    annotations = replace(annotations, image=image)
    write_trackmate(tmp_path / "a.xml", annotations)
    read = read_objects(tmp_path / "a.xml", image)
    assert content(read) == content(annotations)


def edited(path, edit) -> None:
    tree = ElementTree.parse(path)
    edit(tree.getroot())
    tree.write(path)


def test_trackmate_spots_without_outline_are_discs(tmp_path) -> None:
    write_trackmate(tmp_path / "a.xml", film())

    def edit(root) -> None:
        for spot in root.iter("Spot"):
            del spot.attrib["ROI_N_POINTS"]
            spot.attrib |= {"RADIUS": "2", "name": f"ID{spot.attrib['ID']}"}
            spot.text = None

    edited(tmp_path / "a.xml", edit)
    read = read_objects(tmp_path / "a.xml", film().image)
    assert {obj.area_px for obj in read.objects if 2 < obj.left < 24} <= set(range(9, 17))
    assert len({obj.parent_id for obj in read.objects}) == 2  # only one falls in two


def test_trackmate_leaves_out_what_is_hidden_or_merges(tmp_path) -> None:
    write_trackmate(tmp_path / "a.xml", film())

    def edit(root) -> None:
        root.find("Model/AllSpots/SpotsInFrame/Spot").set("VISIBILITY", "0")
        shown = root.find("Model/FilteredTracks")
        shown.remove(shown[-1])
        track = root.find("Model/AllTracks/Track")
        ids = [spot.get("ID") for spot in root.iter("Spot") if spot.get("name") == "2"]
        target = track.findall("Edge")[1].get("SPOT_TARGET_ID")
        ElementTree.SubElement(track, "Edge", SPOT_SOURCE_ID=ids[-1], SPOT_TARGET_ID=target)
        ElementTree.SubElement(track, "Edge", SPOT_SOURCE_ID="999", SPOT_TARGET_ID=target)

    edited(tmp_path / "a.xml", edit)
    counts = read_objects(tmp_path / "a.xml", film().image).left_out.counts
    assert counts["hidden spot"] == counts["hidden track"] == 1
    assert counts["merge of two tracks"] == 1
    assert counts["entry"] == 2  # the edge of the hidden spot, and one to nowhere


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("<a/>", "not of TrackMate"),
        ("<TrackMate>", "cannot be read"),
        ("<TrackMate><Settings><ImageData width='x'/></Settings></TrackMate>", "cannot be read"),
    ],
)
def test_damaged_trackmate(tmp_path, text, message) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(FileError, match=message):
        read_objects(tmp_path / "a.xml", film().image)


# Tables ------------------------------------------------------------------------------------------


def test_a_table_of_napari(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("index,axis-0,axis-1,axis-2,axis-3\n0,3,1,5.5,7\n1,3,0,5,6\n")
    tracks = read_tracks_csv(tmp_path / "a.csv")
    assert tracks.points.tolist() == [[3, 0, 5, 6], [3, 1, 5.5, 7]]


def test_rows_that_cannot_be_read_are_left_out(tmp_path) -> None:
    rows = ["track_id;frame;y;x;parent", "1;0;2;3;", "1;a;2;3;", "2;1;nan;3;1", "2;2;4;5;1", "3"]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    tracks = read_tracks_csv(tmp_path / "a.csv")
    assert tracks.points.tolist() == [[1, 0, 2, 3], [2, 2, 4, 5]]
    assert dict(tracks.parents) == {2: 1}
    assert tracks.left_out.counts["entry"] == 3


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "track_id,t,y,x\n", "track_id,t,y,x\n1,a,b,c\n"]
)
def test_damaged_tables(tmp_path, text) -> None:
    (tmp_path / "a.csv").write_text(text)
    if text.endswith("x\n"):
        assert len(read_tracks_csv(tmp_path / "a.csv").points) == 0
        return
    with pytest.raises(FileError):
        read_tracks_csv(tmp_path / "a.csv")


def test_a_table_of_tracks(tmp_path) -> None:
    write_tracks_csv(tmp_path / "a.csv", film())
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "track_id,t,y,x,parent_track_id"
    assert lines[1].split(",")[:2] == ["1", "0"]
    assert lines[1].split(",")[-1] == ""
    assert lines[-1].split(",")[:2] == ["9", "5"]
    assert lines[-1].split(",")[-1] == "4"


# GEFF --------------------------------------------------------------------------------------------


def test_geff_is_valid_for_its_own_package(tmp_path) -> None:
    geff, data = pytest.importorskip("geff"), pytest.importorskip("geff.validate.data")
    everything = data.ValidationConfig(graph=True, tracklet=True)
    whole = film(3)
    dividing = replace(whole, objects=[o for o in whole.objects if o.label_id != 9])
    for annotations, is_declared in (whole, False), (dividing, True):  # 9 is the only child of 4
        path = tmp_path / f"{is_declared}.geff"
        write_geff(path, annotations)
        geff.validate_structure(str(path))
        graph, about = geff.read(str(path), data_validation=everything)
        assert [axis.name for axis in about.axes] == ["t", "z", "y", "x"]
        assert graph.number_of_nodes() == len(tracks_of(annotations).points)
        assert (about.track_node_props is not None) == is_declared


def test_geff_of_another_program(tmp_path) -> None:
    geff, networkx = pytest.importorskip("geff"), pytest.importorskip("networkx")
    graph = networkx.DiGraph()
    for node, (t, y, x) in {10: (0, 4, 4), 11: (1, 6, 4), 12: (2, 6, 2), 13: (2, 6, 8)}.items():
        graph.add_node(node, time=t, y=float(y), x=float(x))
    graph.add_edges_from([(10, 11), (11, 12), (11, 13)])
    geff.write(
        graph,
        tmp_path / "a.zarr",
        axis_names=["time", "y", "x"],
        axis_types=["time", "space", "space"],
        axis_units=["second", "micrometer", "micrometer"],
    )
    image = ImageInfo((3, 9, 9), axes="TYX", pixel_size=(1, 2, 2), units=("second", "um", "um"))
    tracks = read_geff(tmp_path / "a.zarr", image)
    assert tracks.points.tolist() == [[1, 0, 2, 2], [1, 1, 3, 2], [2, 2, 3, 1], [3, 2, 3, 4]]
    assert dict(tracks.parents) == {2: 1, 3: 1}


def test_damaged_geff(tmp_path) -> None:
    import zarr

    with pytest.raises(FileError):
        read_geff(tmp_path / "no.geff")
    write_geff(tmp_path / "a.geff", film())
    group = zarr.open_group(tmp_path / "a.geff", mode="a")
    about = dict(group.attrs["geff"])
    for damage in ({}, {"axes": []}, {"axes": about["axes"][1:]}, {"axes": [{"name": 3}]}):
        group.attrs["geff"] = damage
        with pytest.raises(FileError):
            read_geff(tmp_path / "a.geff")
    group.attrs["geff"] = about
    del group["nodes/props/x"]
    with pytest.raises(FileError):
        read_geff(tmp_path / "a.geff")
