import numpy as np
import pytest

from napari_seggpt.frames import FrameGrid
from napari_seggpt.inference.memory import (
    THUMBNAIL,
    Memory,
    PromptTile,
    QueryTile,
    choose,
    remember,
    thumbnail,
)
from napari_seggpt.inference.prediction import Prediction
from napari_seggpt.inference.tiling import Tile

MIDDLE = (0.5, 0.5)
CORNERS = [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]


def flat(value: int) -> np.ndarray:
    return np.full((16, 16, 3), value, dtype=np.uint8)


def example(
    value: int = 0,
    *,
    index: int | None = None,
    center: tuple[float, float] = MIDDLE,
    is_labelled: bool = True,
    is_hint: bool = False,
) -> PromptTile:
    return PromptTile(
        picture=flat(value),
        labels=np.full((16, 16), int(is_labelled)),
        center=center,
        index=index,
        thumbnail=thumbnail(flat(value)),
        is_labelled=is_labelled,
        is_hint=is_hint,
    )


def query(
    value: int = 0,
    *,
    index: int | None = None,
    center: tuple[float, float] = MIDDLE,
    grid: FrameGrid | None = None,
) -> QueryTile:
    tile = Tile(top=0, left=0, height=16, width=16, center=center)
    return QueryTile(picture=flat(value), tile=tile, index=index, grid=grid)


def indices(examples: list[PromptTile]) -> list[int | None]:
    return [one.index for one in examples]


def test_a_thumbnail_has_the_coarse_colours() -> None:
    picture = flat(51)
    picture[:, 8:] = 255
    look = thumbnail(picture)
    assert look.shape == (*THUMBNAIL, 3)
    assert look.dtype == np.float32
    assert look[0, 0] == pytest.approx(0.2, abs=0.01)
    assert look[0, -1] == pytest.approx(1, abs=0.01)


# -- memory ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3])
def test_the_oldest_frame_is_forgotten_first(size: int) -> None:
    memory = Memory(size)
    for index in range(6):
        memory.add([example(index=index)])
        assert len(memory) == min(size, index + 1)
    assert indices(memory.recall(query())) == [*range(6 - size, 6)]


def test_a_memory_of_nothing_forgets_at_once() -> None:
    memory = Memory(0)
    memory.add([example()])
    assert len(memory) == 0
    assert memory.recall(query()) == []


def test_frames_without_labels_are_not_remembered() -> None:
    memory = Memory(2)
    memory.add([example(index=0)])
    memory.add([example(index=1, is_labelled=False)])
    memory.add([])
    assert indices(memory.recall(query())) == [0]


def test_every_frame_is_recalled_at_the_place_of_the_query() -> None:
    memory = Memory(3)
    for index in range(2):
        memory.add(iter([example(index=index, center=center) for center in CORNERS]))
    memory.add([example(index=2)])  # a frame in one tile
    for center in CORNERS:
        recalled = memory.recall(query(center=center))
        assert indices(recalled) == [0, 1, 2]
        assert [one.center for one in recalled] == [center, center, MIDDLE]


def test_a_tile_without_labels_is_recalled_with_its_frame() -> None:
    memory = Memory(1)
    labelled = [example(center=c, is_labelled=c == CORNERS[0]) for c in CORNERS]
    memory.add(labelled)
    assert memory.recall(query(center=CORNERS[3])) == [labelled[3]]


# -- choosing ----------------------------------------------------------------------


def test_few_examples_are_all_taken() -> None:
    examples = [example(index=9), example(index=1), example(is_labelled=False)]
    assert choose(query(index=0), examples, 3) == examples
    assert choose(query(index=0), [], 3) == []


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_alike_examples_are_taken_by_their_distance_in_the_stack(limit: int) -> None:
    examples = [example(50, index=index) for index in (0, 10, 20, 30, 40, 50)]
    chosen = choose(query(60, index=28), examples, limit)
    assert indices(chosen) == [30, 20, 40, 10, 50, 0][:limit]


def test_similar_examples_come_before_near_ones() -> None:
    examples = [
        example(0, index=10),
        example(0, index=11),
        example(200, index=90),
        example(190, index=80),
    ]
    chosen = choose(query(200, index=10), examples, 3)
    assert indices(chosen) == [10, 90, 80]  # the nearest itself is always taken


def test_other_images_count_as_far_away() -> None:
    examples = [example(50), example(50, index=5), example(50, index=500)]
    assert indices(choose(query(60, index=0), examples, 2)) == [5, None]
    assert len(choose(query(60), examples, 2)) == 2


def test_examples_with_labels_come_before_those_without() -> None:
    examples = [
        example(0, index=0),
        example(200, index=1, is_labelled=False),
        example(100, index=2),
    ]
    assert indices(choose(query(200, index=0), examples, 2)) == [0, 2]


def test_the_example_at_the_place_of_the_query_is_taken() -> None:
    examples = [
        example(value, index=index, center=center, is_labelled=center != CORNERS[2])
        for value, index in ((0, 3), (90, 8))
        for center in CORNERS
    ]
    for limit in (2, 3, 7):
        chosen = choose(query(90, index=4, center=CORNERS[2]), examples, limit)
        assert len(chosen) == len(set(map(id, chosen))) == limit
        here = chosen[0]
        assert (here.index, here.center, here.is_labelled) == (3, CORNERS[2], False)
        assert all(one.is_labelled for one in chosen[1:6])


def test_the_only_example_taken_has_labels() -> None:
    examples = [
        example(90, index=4, is_labelled=False),
        example(90, index=8),
        example(10, index=5),
    ]
    assert indices(choose(query(90, index=4), examples, 1)) == [8]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_hints_are_never_without_one_that_is_more(limit: int) -> None:
    hints = [example(90, index=i, is_hint=True) for i in (3, 4, 5)]
    far = example(10, index=50)
    blank = example(90, index=4, is_labelled=False)
    chosen = choose(query(90, index=4), [*hints, far, blank], limit)
    assert 50 in indices(chosen)
    assert len(chosen) == limit


class Doubting:
    """Stands for a predictor that makes a tile of what it is given."""

    has_calibrated_confidence = True

    def prepare(self, prompt, *, predicted, seen):
        assert predicted
        self.seen = seen
        return [example(index=prompt.index)]


def predicted(margin: float) -> Prediction:
    labels = np.zeros((16, 16), np.int64)
    labels[4:12, 4:12] = 1
    confidence = np.full((16, 16), margin, np.float32)
    return Prediction(labels=labels, confidence=confidence, colors=(), seen=labels)


@pytest.mark.parametrize(("margin", "kept"), [(1.0, 1), (0.3, 0)])
def test_a_frame_that_its_network_doubts_is_not_remembered(margin, kept) -> None:
    memory, predictor = Memory(2), Doubting()
    found = predicted(margin)
    remember(memory, predictor, flat(5), 3, found)  # type: ignore[arg-type]
    assert len(memory) == kept
    if kept:
        assert indices(memory.recall(query())) == [3]
        assert predictor.seen[0] is found.seen


def test_all_is_remembered_where_confidence_estimates_nothing(monkeypatch) -> None:
    monkeypatch.setattr(Doubting, "has_calibrated_confidence", False)
    memory = Memory(2)
    remember(memory, Doubting(), flat(5), 3, predicted(0.3))  # type: ignore[arg-type]
    assert len(memory) == 1


def test_labels_that_were_stored_are_remembered() -> None:
    memory, predictor = Memory(2), Doubting()
    stored = predicted(0.3).labels
    remember(memory, predictor, flat(5), 3, stored)  # type: ignore[arg-type]
    assert len(memory) == 1
    assert predictor.seen is None


def test_in_a_film_of_volumes_the_same_slice_of_the_next_time_is_near() -> None:
    film = FrameGrid(shape=(3, 10), names=("t", "z"))
    examples = [example(50, index=index) for index in (0, 9, 15, 23)]
    near = choose(query(60, index=25, grid=film), examples, 2)  # t 2, z 5
    assert indices(near) == [15, 23]
    (nearest,) = choose(query(60, index=10, grid=film), examples, 1)
    assert nearest.index == 0  # not 9
