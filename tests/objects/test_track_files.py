import csv
from functools import partial

import numpy as np
import pytest
import tifffile
import zarr

from napari_seggpt.objects import track_files
from napari_seggpt.objects.track_files import (
    TracksAbout,
    check_tracks_path,
    write_challenge,
    write_geff,
    write_tracks,
    write_tracks_table,
)
from napari_seggpt.objects.tracks import trace


@pytest.fixture
def film(discs):
    """An object that is lost on frame 1, and one that divides on frame 2."""
    whole, apart = discs((60, 60, 12)), discs((60, 52, 8), (60, 69, 8))
    lost = discs((110, 20, 6)) * 7
    children = np.where(apart > 0, apart + 4, 0)
    return list(enumerate([whole + lost, whole, children + lost]))


def test_the_table_has_a_row_for_each_object_of_each_frame(film, tmp_path) -> None:
    write_tracks_table(tmp_path / "tracks.csv", trace(film))
    with (tmp_path / "tracks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["track"], row["frame"], row["parent"]) for row in rows] == [
        ("1", "0", ""), ("1", "1", ""), ("5", "2", "1"), ("6", "2", "1"),
        ("7", "0", ""), ("7", "2", ""),
    ]  # fmt: skip
    assert (rows[0]["row"], rows[0]["column"], rows[0]["area"]) == (
        "60.00",
        "60.00",
        "441",
    )


def test_the_challenge_gets_masks_and_tracks_without_gaps(film, tmp_path) -> None:
    write_challenge(tmp_path / "out", film, trace(film))
    lines = (tmp_path / "out" / "res_track.txt").read_text().splitlines()
    assert lines == ["1 0 1 0", "5 2 2 1", "6 2 2 1", "7 0 0 0", "8 2 2 7"]
    masks = [tifffile.imread(tmp_path / "out" / f"mask00{i}.tif") for i in range(3)]
    assert masks[0].dtype == np.uint16
    assert np.array_equal(masks[1], film[1][1])
    assert np.array_equal(masks[2] == 8, film[2][1] == 7)


def test_ids_below_0_are_no_tracks(film, tmp_path) -> None:
    ignored = [(index, np.where(labels > 0, labels, -1)) for index, labels in film]
    write_challenge(tmp_path / "some", ignored, trace(ignored))
    write_challenge(tmp_path / "all", film, trace(film))
    for file in (tmp_path / "all").iterdir():
        assert (tmp_path / "some" / file.name).read_bytes() == file.read_bytes()


def test_masks_of_all_frames_have_as_many_digits(film, tmp_path) -> None:
    empty = np.zeros_like(film[0][1])
    longer = [film[0], (999, empty), (1000, empty)]  # no object is on the last ones
    write_challenge(tmp_path / "out", longer, trace(longer))
    names = sorted(file.name for file in (tmp_path / "out").glob("mask*"))
    assert names == ["mask0000.tif", "mask0999.tif", "mask1000.tif"]


@pytest.mark.parametrize("name", ["tracks.csv", "tracks"])
def test_tracks_are_replaced_only_if_asked_for(film, tmp_path, name) -> None:
    path = tmp_path / name
    write_tracks(path, film, trace(film), TracksAbout())
    files = [path] if path.is_file() else list(path.iterdir())
    before = {file: file.read_bytes() for file in files}
    short = film[:2]
    with pytest.raises(FileExistsError, match="Expected a new path"):
        write_tracks(path, short, trace(short), TracksAbout())
    assert {file: file.read_bytes() for file in files} == before
    write_tracks(path, short, trace(short), TracksAbout(), overwrite=True)
    if path.is_dir():  # no mask of the longer film stays
        names = {file.name for file in path.iterdir()}
        assert names == {"mask000.tif", "mask001.tif", "res_track.txt"}
    else:
        assert len(path.read_text().splitlines()) == 4


def test_a_folder_with_anything_else_is_not_replaced(film, tmp_path) -> None:
    write_challenge(tmp_path / "out", film, trace(film))
    (tmp_path / "out" / "notes.txt").write_text("mine")
    for path in (tmp_path / "out", tmp_path):
        with pytest.raises(ValueError, match=r"got .* with (notes.txt|out)"):
            write_challenge(path, film, trace(film), overwrite=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    with pytest.raises(FileExistsError):
        write_challenge(tmp_path / "out" / "notes.txt", film, trace(film))


def test_a_damaged_frame_leaves_what_was_there(film, tmp_path) -> None:
    def damaged():
        yield film[0]
        raise OSError("disk gone")

    write_challenge(tmp_path / "out", film, trace(film))
    for path in (tmp_path / "out", tmp_path / "new"):
        with pytest.raises(OSError, match="disk gone"):
            write_challenge(path, damaged(), trace(film[:1]), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_ids_that_16_bits_do_not_hold_are_numbered_anew(film, tmp_path) -> None:
    large = [(i, np.where(x > 0, x + 100_000, 0)) for i, x in film]
    write_challenge(tmp_path, large, trace(large))
    lines = (tmp_path / "res_track.txt").read_text().splitlines()
    assert lines == ["1 0 1 0", "2 2 2 1", "3 2 2 1", "4 0 0 0", "5 2 2 4"]
    assert set(np.unique(tifffile.imread(tmp_path / "mask002.tif"))) == {0, 2, 3, 5}


def test_too_many_tracks_are_refused(film, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(track_files, "MOST_IDS", 3)
    with pytest.raises(ValueError, match="at most 3 tracks, got 5"):
        write_challenge(tmp_path, film, trace(film))


def test_geff_holds_the_graph(film, tmp_path) -> None:
    geff = pytest.importorskip("geff")
    tracks = trace(film)
    write_geff(
        tmp_path / "tracks.geff",
        tracks,
        pixel_size=(30.0, 0.5, 0.5),
        units=("second", "micrometer", "micrometer"),
    )
    graph, metadata = geff.read(tmp_path / "tracks.geff")
    assert graph.number_of_nodes() == 6
    parents = {graph.nodes[a]["track"]: graph.nodes[b]["track"] for a, b in graph.edges}
    assert set(parents) == {1, 7}
    assert sorted(graph.nodes[b]["track"] for a, b in graph.edges) == [1, 5, 6, 7]
    assert [axis.name for axis in metadata.axes] == ["t", "y", "x"]
    assert [axis.scale for axis in metadata.axes] == [30.0, 0.5, 0.5]
    with pytest.raises(FileExistsError):
        write_geff(tmp_path / "tracks.geff", tracks)


@pytest.mark.filterwarnings("error")
def test_nothing_but_a_geff_is_replaced_by_one(film, tmp_path) -> None:
    geff = pytest.importorskip("geff")
    path, tracks = tmp_path / "tracks.geff", trace(film)
    path.mkdir()  # an empty folder is as good as none
    write_tracks(path, film, tracks, TracksAbout(axis="z"))
    write_tracks(path, [], trace([]), TracksAbout(axis="z"), overwrite=True)
    write_geff(path, tracks, overwrite=True)
    assert geff.read(path)[0].number_of_nodes() == 6
    with pytest.raises(FileExistsError, match="Expected a new path"):
        check_tracks_path(path)
    (path / "notes.txt").write_text("mine")
    zarr.create_group(tmp_path / "image.geff")
    (tmp_path / "broken.geff").mkdir()
    (tmp_path / "broken.geff" / "zarr.json").write_text("{")
    for other, message in (
        (path, "with notes.txt"),
        (tmp_path / "image.geff", "which is none"),
        (tmp_path / "broken.geff", "which is none"),
    ):
        files = sorted(other.rglob("*"))
        for write in (check_tracks_path, partial(write_geff, tracks=tracks)):
            with pytest.raises(ValueError, match=f"Expected a GEFF .* {message}"):
                write(other, overwrite=True)
        assert sorted(other.rglob("*")) == files


def test_without_geff_it_is_said_what_to_install(film, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "geff", None)
    with pytest.raises(ValueError, match=r"pip install 'napari-seggpt\[tracks\]'"):
        write_geff(tmp_path / "tracks.geff", trace(film))
