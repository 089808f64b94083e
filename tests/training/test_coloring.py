import numpy as np
import pytest

from napari_seggpt.training.coloring import Task, draw_task

LABELS = np.array([[0, 1, 1], [2, 2, 1], [0, 3, 3]])


def test_all_objects_are_one_region():
    np.testing.assert_array_equal(Task().regions(LABELS), LABELS > 0)


def test_chosen_groups_are_numbered_and_the_rest_is_background():
    regions = Task(groups=((3,), (1, 2))).regions(LABELS)
    np.testing.assert_array_equal(regions, [[0, 2, 2], [2, 2, 2], [0, 1, 1]])


def test_the_border_is_where_labels_meet():
    labels = np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0)
    regions = Task(border=True).regions(labels)
    np.testing.assert_array_equal(regions[0], [1, 1, 2, 2, 1, 1])


def test_what_is_unknown_has_no_border():
    labels = np.repeat([[1, 1, 1, -1, -1, 0, 0, 2, 2]], 4, axis=0)
    for task, expected in (
        (Task(border=True), [1, 1, 1, 0, 0, 0, 2, 2, 1]),
        (Task(border=True, objects=False), [0, 0, 0, 0, 0, 0, 1, 1, 0]),
    ):
        np.testing.assert_array_equal(task.regions(labels)[1], expected)
        # Beside what is unknown there may be a border, or none.
        assert task.known(labels)[1].tolist() == [True] * 2 + [False] * 4 + [True] * 3
    assert Task().known(labels)[1].tolist() == [True] * 3 + [False] * 2 + [True] * 4


def test_the_background_is_black_or_coloured():
    rng = np.random.default_rng(0)
    task = Task(groups=((1,), (2,)))
    black = task.palette(rng, coloured_background=False)
    coloured = task.palette(rng, coloured_background=True)
    assert black.shape == coloured.shape == (3, 3)
    assert not black[0].any()
    assert coloured[0].any()


def test_colours_of_a_task_are_apart():
    rng = np.random.default_rng(0)
    for _ in range(50):
        colors = Task(groups=((1,), (2,), (3,))).palette(rng, coloured_background=False)
        gaps = np.linalg.norm(colors[:, None] - colors, axis=2)
        assert gaps[~np.eye(4, dtype=bool)].min() > 0.2


def test_the_border_may_be_all_that_is_coloured():
    labels = np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0)
    task = Task(border=True, objects=False)
    assert task.num_regions == 1
    np.testing.assert_array_equal(task.regions(labels)[0], [0, 0, 1, 1, 0, 0])


def test_chosen_objects_need_ids_that_persist():
    rng = np.random.default_rng(0)
    lasting, others = (
        [draw_task(LABELS, "instance", chosen=kept, rng=rng) for _ in range(99)]
        for kept in (0.5, 0.0)
    )
    assert any(task.is_instance for task in lasting)
    assert not any(task.is_instance for task in others)
    kinds = {(task.border, task.objects) for task in lasting}
    assert kinds == {(False, True), (True, True), (True, False)}


def test_where_objects_fill_the_image_the_border_is_asked_for():
    rng = np.random.default_rng(0)
    filled = np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0)
    tasks = [draw_task(filled, "instance", chosen=0.0, rng=rng) for _ in range(50)]
    assert all(task.border for task in tasks)


def test_classes_may_be_merged():
    rng = np.random.default_rng(0)
    tasks = [draw_task(LABELS, "semantic", chosen=0.0, rng=rng) for _ in range(99)]
    assert any(len(group) > 1 for task in tasks for group in task.groups)


@pytest.mark.parametrize("kind", ["semantic", "binary"])
def test_classes_are_drawn_from_those_that_occur(kind):
    rng = np.random.default_rng(0)
    for _ in range(50):
        task = draw_task(LABELS, kind, chosen=0.0, rng=rng)
        ids = [i for group in task.groups for i in group]
        assert 1 <= len(ids) == len(set(ids))
        assert set(ids) <= {1, 2, 3}
        assert not task.is_instance
