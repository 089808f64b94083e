"""How many references a run is shown."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_seggpt.session.references.reference import choose_references

frames = st.sets(st.integers(0, 60), min_size=1).map(sorted)


@given(references=frames, wanted=frames, limit=st.integers(1, 12))
def test_so_many_references_at_most_the_nearest_among_them(
    references: list[int], wanted: list[int], limit: int
) -> None:
    chosen = choose_references(references, wanted, limit)
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(references)
    assert len(chosen) == min(limit, len(references))
    first, last = wanted[0], wanted[-1]
    near = {r for r in references if first <= r <= last}
    near |= {max((r for r in references if r < first), default=references[0])}
    near |= {min((r for r in references if r > last), default=references[-1])}
    if len(near) <= limit:
        distances = [max(first - r, r - last) for r in references if r not in chosen]
        far = [max(first - r, r - last) for r in chosen if r not in near]
        assert near <= set(chosen)
        assert max(far, default=0) <= min(distances, default=99)


def test_many_references_among_the_frames_are_spread_evenly() -> None:
    chosen = choose_references(range(0, 100, 2), range(100), 5)
    gaps = np.diff(chosen)
    assert chosen[0] == 0
    assert chosen[-1] == 98
    assert gaps.max() - gaps.min() <= 2
