import numpy as np
import pytest

from napari_seggpt.objects.kinds import guess_task, object_classes, task_of


def kind(*frames, **more):
    return guess_task(frames, **more).kind


def test_many_ids_are_objects(cells) -> None:
    labels = cells(least=17)
    guess = guess_task([labels])
    assert guess.kind == "objects"
    assert f"{len(np.unique(labels)) - 1} labels" in guess.reason


def test_one_label_is_a_class(cells) -> None:
    labels = (cells() > 0).astype(np.uint8)
    assert guess_task([labels]).kind == "classes"
    assert guess_task([labels]).reason == "There is one label: it is a class."


def test_two_labels_that_touch_and_look_alike_are_objects(discs) -> None:
    guess = guess_task([discs((40, 40, 12), (40, 62, 12))])
    assert guess.kind == "objects"
    assert guess.reason == "Regions 1 and 2 touch and look alike: each is an object."


@pytest.mark.parametrize(("column", "radius"), [(90, 12), (62, 3)])
def test_two_labels_apart_or_of_other_size_are_classes(discs, column, radius) -> None:
    assert kind(discs((40, 40, 24), (40, column, radius))) == "classes"


def test_a_core_in_a_shell_is_no_pair_of_objects(discs) -> None:
    heart = discs((40, 40, 10), (40, 40, 16))
    assert kind(heart) == "classes"


def test_labels_of_several_regions_are_classes(discs) -> None:
    labels = discs((40, 40, 12), (40, 62, 12), (90, 40, 12), (90, 62, 12))
    labels[labels > 2] -= 2
    guess = guess_task([labels])
    assert guess.kind == "classes"
    assert "marks several separate regions" in guess.reason


def test_a_speck_makes_no_second_region(discs) -> None:
    labels = discs((40, 40, 12), (40, 62, 12))
    labels[100, 100] = 1
    assert kind(labels) == "objects"


def test_eight_labels_of_like_size_are_objects(discs) -> None:
    apart = [(15 + 30 * i, 20 + 60 * j, 8 + i) for i in range(4) for j in range(2)]
    assert kind(discs(*apart)) == "objects"
    assert kind(discs(*apart[:7])) == "classes"
    assert kind(discs(*((r, c, 3 if c < 40 else 12) for r, c, _ in apart))) == "classes"


def test_labels_that_never_come_back_are_objects(discs) -> None:
    first = discs((20, 20, 8), (20, 60, 8), (20, 100, 8))
    second = np.where(first > 0, first + 3, 0)
    assert kind(first, second) == "objects"
    assert kind(first, first) == "classes"
    assert kind(first) == "classes"


def test_classes_of_objects_are_said_or_told_by_the_thousands(discs) -> None:
    labels = discs((40, 40, 12), (40, 62, 12))
    assert kind(labels, classes={1: 1, 2: 2}) == "objects of several classes"
    guess = guess_task([np.where(labels > 0, 1000 * labels + 7, 0)])
    assert guess.kind == "objects of several classes"
    assert guess.reason.endswith("and they are of 2 classes.")


def test_object_classes() -> None:
    assert object_classes([3, 4, 5], {3: 2, 4: 7}) == {3: 2, 4: 7, 5: 2}
    assert object_classes([1001, 2001]) == {1001: 1, 2001: 2}
    assert object_classes([1, 2001]) == {1: 1, 2001: 1}
    assert object_classes([2001, 2002]) == {2001: 1, 2002: 1}


def test_references_without_labels_are_classes() -> None:
    assert kind(np.zeros((8, 8), int)) == "classes"
    assert kind() == "classes"


def in_a_row() -> np.ndarray:
    """Draw four squares in a row that touch, of 12 pixels each."""
    labels = np.zeros((40, 60), np.uint16)
    for number in range(4):
        labels[10:22, 6 + 12 * number : 18 + 12 * number] = (5, 90, 7, 8)[number]
    return labels


def test_what_is_wanted_is_guessed_or_chosen() -> None:
    assert task_of("auto", [in_a_row()]).kind == "objects"
    assert task_of("classes", [in_a_row()]).kind == "classes"
    one = (in_a_row() > 0).astype(int)
    assert task_of("auto", [one]).kind == "classes"
    assert task_of("objects", [one]).kind == "objects"
    kind = task_of("objects-of-classes", [in_a_row()]).kind
    assert kind == "objects of several classes"
    assert task_of("auto", [in_a_row()], has_tuned=True).kind == "classes"


def test_objects_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected no tuned prompt for objects"):
        task_of("objects", [in_a_row()], has_tuned=True)
    with pytest.raises(ValueError, match="objects of 3 x 3 pixels, got none"):
        task_of("objects", [np.zeros((40, 60), int)])


def test_a_frame_without_background_is_looked_at_as_any_other() -> None:
    labels = np.ones((30, 30), int)
    labels[:, 15:] = 2
    labels[0, 0] = 2
    assert task_of("auto", [labels]).kind == "classes"
    many = np.kron(np.arange(1, 26).reshape(5, 5), np.ones((6, 6), int))
    assert task_of("auto", [many]).kind == "objects"
    few = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((6, 6), int))
    assert task_of("auto", [few]).kind == "objects"
