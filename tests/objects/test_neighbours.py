import numpy as np

from napari_seggpt.objects.neighbours import find_contacts, main_neighbours

LABELS = np.array([[1, 1, 0], [1, 2, 2], [0, 2, 2]])


def test_contacts_are_counted_in_both_orders() -> None:
    contacts = find_contacts(LABELS)
    pairs = zip(contacts.own, contacts.other, contacts.edges, strict=True)
    assert {(int(a), int(b)): int(n) for a, b, n in pairs} == {
        (0, 1): 2, (1, 0): 2, (0, 2): 2, (2, 0): 2, (1, 2): 2, (2, 1): 2,
    }  # fmt: skip


def test_labels_that_touch_by_a_corner_are_no_neighbours() -> None:
    assert len(find_contacts(np.array([[1, 0], [0, 2]])).own) == 4
    assert 2 not in find_contacts(np.array([[1, 0], [0, 2]])).other[:1]


def test_the_main_neighbour_has_the_longest_contact() -> None:
    labels = np.array([[1, 1, 1], [2, 3, 1], [2, 1, 1]])
    assert main_neighbours(labels)[3] == 1
    assert main_neighbours(np.ones((3, 3), int)) == {}


def test_only_contacts_of_some_labels_are_counted_if_wished() -> None:
    labels = np.array([[1, 1, 2], [3, 3, 2]])
    contacts = find_contacts(labels, of=labels == 3)
    pairs = list(zip(contacts.own, contacts.other, contacts.edges, strict=True))
    assert pairs == [(1, 3, 2), (2, 3, 1), (3, 1, 2), (3, 2, 1)]
