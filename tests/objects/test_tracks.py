import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_seggpt.objects.tracks import (
    Tracks,
    first_and_last,
    trace,
    track_edges,
    unbroken,
)


def frames_of(*frames):
    return list(enumerate(frames))


def tracks_of(rows, graph=None):
    table = np.array([(*row, 0.0, 0.0) for row in rows], dtype=float).reshape(-1, 4)
    return Tracks(rows=table, areas=np.ones(len(rows), int), graph=graph or {})


def test_rows_are_what_a_tracks_layer_takes(discs) -> None:
    first, second = discs((40, 40, 6), (90, 90, 8)), discs((44, 42, 6), (91, 90, 8))
    tracks = trace(frames_of(first, second))
    np.testing.assert_allclose(
        tracks.rows,
        [[1, 0, 40, 40], [1, 1, 44, 42], [2, 0, 90, 90], [2, 1, 91, 90]],
    )
    assert tracks.areas.tolist() == [113, 113, 197, 197]
    assert tracks.graph == {}


def test_a_division_is_read_from_the_ids(discs) -> None:
    mother = discs((60, 60, 12))
    children = discs((60, 52, 8), (60, 69, 8))
    children[children > 0] += 4
    tracks = trace(frames_of(mother, children))
    assert tracks.graph == {5: [1], 6: [1]}
    assert trace(frames_of(mother, children), divisions=False).graph == {}


def test_an_object_that_is_seen_again_did_not_divide(discs) -> None:
    mother = discs((60, 60, 12))
    children = discs((60, 52, 8), (60, 69, 8))
    children[children > 0] += 4
    assert trace(frames_of(mother, children, mother)).graph == {}


def test_new_objects_elsewhere_are_no_children(discs) -> None:
    mother = discs((60, 60, 12))
    far = discs((20, 20, 8), (100, 100, 8))
    far[far > 0] += 4
    assert trace(frames_of(mother, far)).graph == {}


def test_lost_objects_leave_pieces_that_are_each_others_parents() -> None:
    broken = tracks_of([(3, 0), (3, 1), (3, 4), (3, 6), (7, 7), (8, 7)], {7: [3]})
    parts = unbroken(broken)
    assert parts.ids.tolist() == [3, 3, 9, 10, 7, 8]
    assert parts.graph == {9: [3], 10: [9], 7: [10]}
    assert first_and_last(parts)[3] == (0, 1)


@given(
    st.sets(st.tuples(st.integers(1, 5), st.integers(0, 12)), max_size=40),
)
def test_pieces_are_the_runs_of_frames_of_each_id(places) -> None:
    rows = sorted(places)
    parts = unbroken(tracks_of(rows))
    top = max((i for i, _ in rows), default=0)
    pieces, graph = [], {}
    for at, (i, frame) in enumerate(rows):
        before = rows[at - 1] if at else None
        if before == (i, frame - 1):
            pieces.append(pieces[-1])
        elif before is not None and before[0] == i:
            top += 1
            graph[top] = [pieces[-1]]
            pieces.append(top)
        else:
            pieces.append(i)
    assert parts.ids.tolist() == pieces
    assert parts.frames.tolist() == [frame for _, frame in rows]
    assert parts.graph == graph


def test_many_gaps_take_no_longer_than_few() -> None:
    rows = [(i, 2 * frame) for i in range(1, 101) for frame in range(800)]
    tracks = tracks_of(rows)
    began = time.process_time()
    parts = unbroken(tracks)
    assert time.process_time() - began < 1  # it grew with their square
    assert len(np.unique(parts.ids)) == len(rows)


def test_edges_lead_to_the_next_place_and_to_children() -> None:
    tracks = tracks_of([(1, 0), (1, 1), (2, 2), (2, 3), (3, 2)], {2: [1], 3: [1]})
    assert track_edges(tracks).tolist() == [[0, 1], [1, 2], [1, 4], [2, 3]]


def test_no_frames_no_tracks() -> None:
    tracks = trace([])
    assert tracks.rows.shape == (0, 4)
    assert track_edges(tracks).shape == (0, 2)
    assert unbroken(tracks).graph == {}
